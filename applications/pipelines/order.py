"""Which example stands at which position: a pure function of (seed, position), so resuming needs one integer.

Positions count examples from the start of training: batch `b` holds positions `[b * B, (b + 1) * B)`. Every
`num_examples` positions are one pass over the data, and each pass is its own permutation.
"""

from __future__ import annotations

import enum

import tensorflow as tf


class Draw(enum.IntEnum):
    """What a random number is for; each purpose draws its own. Never renumber: runs resume by these."""

    WINDOW = 0
    CROP = 1
    FLIP = 2
    COLOUR = 3
    FREQUENCY_MASK = 4
    TIME_MASK = 5
    MIXUP = 6
    MODALITY_DROPOUT = 7
    AUDIO_POINTS = 8
    IMAGE_POINTS = 9


def shuffled_index(position: tf.Tensor, num_examples: int, seed: int) -> tf.Tensor:
    """The example that stands at a position.

    Args:
        position: int64 scalar. At least 0.
        num_examples: int. Examples in one pass, N. Positive.
        seed: int. Another seed is another order.

    Returns:
        int64 scalar in `[0, N)`. Positions `[k * N, (k + 1) * N)` give every index exactly once, for each k.

    Raises:
        ValueError: if `num_examples` is not positive.
    """
    if num_examples < 1:
        raise ValueError(f"`num_examples` must be positive. Received: num_examples={num_examples}")
    position = tf.cast(position, tf.int64)
    epoch, place = position // num_examples, position % num_examples
    key = tf.stack([tf.constant(seed, tf.int64), epoch])
    return tf.random.experimental.index_shuffle(place, key, tf.constant(num_examples - 1, tf.int64))


def draw_seed(seed: int, position: tf.Tensor, draw: Draw) -> tf.Tensor:
    """The seed of one random draw, for `tf.random.stateless_*`.

    Args:
        seed: int. The seed of the run.
        position: int64 scalar. The position of the example, or the step of the batch.
        draw: `Draw`. What the number is for.

    Returns:
        int64 tensor `(2,)`.
    """
    key = tf.stack([tf.constant(seed, tf.int64), tf.cast(position, tf.int64)])
    return tf.random.experimental.stateless_fold_in(key, tf.constant(int(draw), tf.int64))


def training_order(num_examples: int, seed: int, start_position: int = 0) -> tf.data.Dataset:
    """The endless order of training.

    Args:
        num_examples: int. Examples in one pass. Positive.
        seed: int. Another seed is another order and other windows.
        start_position: int. The first position to give. At least 0.

    Returns:
        Infinite dataset of dicts of scalars: `position` int64; `index` int64 in `[0, num_examples)`;
        `fraction` float32 in `[0, 1)`, which says where in its clip the window starts.

    Raises:
        ValueError: if `num_examples` is not positive or `start_position` is negative.
    """
    if start_position < 0:
        raise ValueError(f"`start_position` must not be negative. Received: start_position={start_position}")

    def place(position: tf.Tensor) -> dict[str, tf.Tensor]:
        fraction = tf.random.stateless_uniform([], draw_seed(seed, position, Draw.WINDOW))
        return {
            "position": position,
            "index": shuffled_index(position, num_examples, seed),
            "fraction": fraction,
        }

    return tf.data.Dataset.counter(tf.constant(start_position, tf.int64)).map(place)


def evaluation_order(num_examples: int, start_position: int = 0, *, num_clips: int = 1) -> tf.data.Dataset:
    """The order of evaluation: every example once, in the order of the source, `num_clips` windows in a row.

    Args:
        num_examples: int. Examples in the split. Positive.
        start_position: int. The first position to give; there are `num_examples * num_clips` in all.
        num_clips: int. Windows per example: 1 is the centre, more are spaced evenly from start to end.

    Returns:
        Dataset of dicts as `training_order` gives them.

    Raises:
        ValueError: if an argument is not positive.
    """
    if num_examples < 1 or num_clips < 1:
        raise ValueError(
            "`num_examples` and `num_clips` must be positive. "
            f"Received: num_examples={num_examples}, num_clips={num_clips}"
        )
    fractions = tf.constant([0.5]) if num_clips == 1 else tf.linspace(0.0, 1.0, num_clips)

    def place(position: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            "position": position,
            "index": position // num_clips,
            "fraction": fractions[position % num_clips],
        }

    return tf.data.Dataset.range(start_position, num_examples * num_clips).map(place)
