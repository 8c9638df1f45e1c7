"""Some rows of every batch: those that one of several hosts computes, and reads for itself.

What is drawn for a batch is drawn for all of its rows, and a host takes its own from that. So hosts together
give, byte for byte, the batches of one.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import TypeVar

import tensorflow as tf

from zorro_keras.applications.pipelines.faults import ConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class BatchPart:
    """One of `count` equal parts of every batch, in the order of its rows.

    Args:
        index: int, from 0.
        count: int. 1 is the whole batch.
    """

    index: int = 0
    count: int = 1

    def rows(self, batch_size: int, name: str = "training.batch_size") -> BatchRows:
        """The rows of this part.

        Args:
            batch_size: int.
            name: str. The setting that it comes from.

        Raises:
            ConfigError: if a batch has no such parts.
        """
        size, rest = divmod(batch_size, self.count)
        if rest:
            raise ConfigError(
                f"`{name}` must be divisible by the hosts, {self.count}. Received: {name}={batch_size}",
                stage="config", reason="bad_value",
            )  # fmt: skip
        return BatchRows(batch_size, tuple(range(self.index * size, (self.index + 1) * size)))


WHOLE = BatchPart()


@dataclass(frozen=True)
class BatchRows:
    """Rows of every batch of `batch_size` examples.

    Args:
        batch_size: int. Examples of the whole batch, B.
        numbers: ints in [0, B), ascending. Which of them.
        first_position: int. A position of the order at which a batch begins.
    """

    batch_size: int
    numbers: tuple[int, ...]
    first_position: int = 0

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def is_whole(self) -> bool:
        """Whether these are all rows."""
        return len(self) == self.batch_size

    def times(self, count: int) -> BatchRows:
        """The rows to read where each row of a batch is made of the next `count`."""
        numbers = [number * count + place for number in self.numbers for place in range(count)]
        return replace(self, batch_size=self.batch_size * count, numbers=tuple(numbers))

    def divided(self, count: int) -> BatchRows:
        """The rows to read where each makes the next `count` of a batch, a multiple of that; a few more, too,
        where these begin or end amid what one makes.
        """
        numbers = sorted({number // count for number in self.numbers})
        return replace(self, batch_size=self.batch_size // count, numbers=tuple(numbers))

    def with_partners(self) -> BatchRows:
        """These rows and those before them, the last before the first: all that `mixup` mixes."""
        numbers = {*self.numbers, *((number - 1) % self.batch_size for number in self.numbers)}
        return replace(self, numbers=tuple(sorted(numbers)))

    def positions(self, start_position: int) -> tf.data.Dataset:
        """The positions of the order that these rows stand at, without end.

        Args:
            start_position: int. None below it is given.

        Returns:
            Dataset of int64 scalars.
        """
        if self.is_whole:
            return tf.data.Dataset.counter(tf.constant(start_position, tf.int64))
        batch, place = divmod(start_position - self.first_position, self.batch_size)
        numbers = tf.constant(self.numbers, tf.int64)
        first = batch * len(self) + bisect_left(self.numbers, place)

        @tf.autograph.experimental.do_not_convert
        def position(count: tf.Tensor) -> tf.Tensor:
            start = self.first_position + count // len(self) * self.batch_size
            return start + numbers[count % len(self)]

        return tf.data.Dataset.counter(tf.constant(first, tf.int64)).map(position)

    def positions_of(self, steps: tf.data.Dataset) -> tf.data.Dataset:
        """The positions of the order that these rows stand at, step by step.

        Args:
            steps: dataset of int64 scalars.

        Returns:
            Dataset of int64 scalars, as many as these rows for each step.
        """
        numbers = self.first_position + tf.constant(self.numbers, tf.int64)

        @tf.autograph.experimental.do_not_convert
        def positions(step: tf.Tensor) -> tf.data.Dataset:
            return tf.data.Dataset.from_tensor_slices(step * self.batch_size + numbers)

        return steps.flat_map(positions)

    def of(self, values: tf.Tensor, axis: int = 0) -> tf.Tensor:
        """These rows of what is there for all rows.

        Args:
            values: tensor with B entries along `axis`.
        """
        return values if self.is_whole else tf.gather(values, self.numbers, axis=axis)

    def partners(self, values: tf.Tensor) -> tf.Tensor:
        """For each of these rows the row before it; itself where that is not among them.

        Args:
            values: tensor with an entry for each of these rows along the first axis.
        """
        if self.is_whole:
            return tf.roll(values, 1, axis=0)
        places = {number: place for place, number in enumerate(self.numbers)}
        before = [places.get((number - 1) % self.batch_size, places[number]) for number in self.numbers]
        return tf.gather(values, before)

    def only(self, wanted: BatchRows, values: T) -> T:
        """The rows `wanted` of what is there for these.

        Args:
            wanted: rows that are among these, of the same batch.
            values: nested tensors with an entry for each of these rows along the first axis.
        """
        if wanted.numbers == self.numbers:
            return values
        places = [self.numbers.index(number) for number in wanted.numbers]
        return tf.nest.map_structure(lambda value: tf.gather(value, places), values)


def all_rows(batch_size: int) -> BatchRows:
    """The rows of a whole batch."""
    return WHOLE.rows(batch_size)
