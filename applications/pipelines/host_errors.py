"""Turns what TensorFlow reports while a data set is read back into the project's own errors."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from zorro_keras.applications.pipelines.fault_reasons import REASONS
from zorro_keras.applications.pipelines.faults import ShardError, ZorroError


class FaultSlot:
    """Holds the error that ended a generator: TensorFlow passes on its text, not the error.

    Args:
        verify: optional function without arguments. Looks at the files behind the data again and raises what
            is wrong with them, by name: TensorFlow says that a record is damaged, not where.
    """

    def __init__(self, verify: Callable[[], object] | None = None) -> None:
        self.verify = verify
        self._error: ZorroError | None = None

    def put(self, error: ZorroError) -> None:
        """Keeps an error."""
        self._error = error

    def take(self) -> ZorroError | None:
        """Gives the error away, or None."""
        error, self._error = self._error, None
        return error


def watched_dataset(
    generate: Callable[[], Iterator[Any]], signature: Any, faults: FaultSlot
) -> tf.data.Dataset:
    """A dataset of what a generator gives, whose error is kept in `faults`.

    Args:
        generate: function that begins a pass: an iterator of nested tuples and dicts of arrays.
        signature: the same nesting of `tf.TensorSpec`.
        faults: `FaultSlot`.
    """

    def watched() -> Iterator[Any]:
        try:
            yield from generate()
        except ZorroError as error:
            faults.put(error)
            raise

    return tf.data.Dataset.from_generator(watched, output_signature=signature)


@contextlib.contextmanager
def host_errors(faults: FaultSlot) -> Iterator[None]:
    """Raises the fault behind a TensorFlow error: wrap it around whatever iterates over data, `fit` too.

    Args:
        faults: `FaultSlot` of the data that is read.

    Raises:
        ZorroError: the one kept in `faults`, or a `ShardError` when a shard was damaged, missing or not
            finite.
        tf.errors.OpError: any other TensorFlow error, untouched.
    """
    try:
        yield
    except tf.errors.OpError as error:
        fault = faults.take() or _found_again(faults) or _named(error)
        if fault is None:
            raise
        raise fault from error


def _found_again(faults: FaultSlot) -> ZorroError | None:
    if faults.verify is not None:
        try:
            faults.verify()
        except ZorroError as error:
            return error
    return None


def _named(error: tf.errors.OpError) -> ShardError | None:
    """The fault that a message of TensorFlow, or of our own assertions, names."""
    named = re.search(r"\[(\w+)\] ", error.message)
    if isinstance(error, tf.errors.DataLossError):
        reason = "checksum"
    elif isinstance(error, tf.errors.NotFoundError) and ".tfrecord" in error.message:
        reason = "missing_file"
    elif named and named.group(1) in REASONS:
        reason = named.group(1)
    else:
        return None
    # The sentence alone, without the nodes of the graph around it.
    sentence = re.sub(r"\{\{.*?\}\} ?| ?\[Op:.*", "", error.message.split("\n\t [[")[0]).strip()
    return ShardError(sentence, stage="read", reason=reason)
