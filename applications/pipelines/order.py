"""Which example stands at which position: a pure function of (seed, position), so resuming needs one integer.

Positions count examples from the start of training: batch `b` holds positions `[b * B, (b + 1) * B)`. Every
`num_examples` positions are one pass over the data, and each pass is its own permutation, or where examples
have weights a draw of its own.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from zorro_keras.applications.pipelines.batch_rows import BatchRows


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
    WEIGHTED_INDEX = 10


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


def weighted_index(position: tf.Tensor, weights: np.ndarray, seed: int) -> tf.Tensor:
    """The example that stands at a position where some come more often than others.

    The weights are laid end to end, and each pass of N positions goes through N points spaced evenly over
    them, in the order of `shuffled_index`. So in every pass an example comes as often as its share says,
    rounded up or down; with equal weights exactly once.

    Args:
        position: int64 scalar. At least 0.
        weights: floats `(N,)`, at least 0, of a positive sum. How often each example comes, beside the rest.
        seed: int. Another seed is another order.

    Returns:
        int64 scalar in `[0, N)`.

    Raises:
        ValueError: if the weights are not such.
    """
    ends = np.cumsum(weights, dtype=np.float64)
    if not len(ends) or np.min(weights) < 0 or not 0 < ends[-1] < np.inf:
        raise ValueError(f"`weights` must be at least 0, with a positive sum. Received: weights={weights}")
    num_examples = len(ends)
    epoch = tf.cast(position, tf.int64) // num_examples
    place = tf.cast(shuffled_index(position, num_examples, seed), tf.float64)
    shift = tf.random.stateless_uniform([], draw_seed(seed, epoch, Draw.WEIGHTED_INDEX), dtype=tf.float64)
    points = tf.reshape((place + shift) / num_examples, [1])
    return tf.searchsorted(tf.constant(ends / ends[-1]), points, side="right", out_type=tf.int64)[0]


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


def training_order(
    num_examples: int,
    seed: int,
    start_position: int = 0,
    *,
    weights: np.ndarray | None = None,
    rows: BatchRows | None = None,
    steps: tf.data.Dataset | None = None,
) -> tf.data.Dataset:
    """The endless order of training.

    Args:
        num_examples: int. Examples in one pass. Positive.
        seed: int. Another seed is another order and other windows.
        start_position: int. The first position to give. At least 0.
        weights: optional floats `(num_examples,)`. How often each example comes, see `weighted_index`; None
            for once in each pass.
        rows: optional `BatchRows`. The order then has their positions alone.
        steps: optional dataset of int64 scalars. With `rows`: the order has the positions of these steps, and
            `start_position` says nothing.

    Returns:
        Infinite dataset, with `steps` as long as they, of dicts of scalars: `position` int64; `index` int64
        in `[0, num_examples)`; `fraction` float32 in `[0, 1)`, which says where in its clip the window
        starts.

    Raises:
        ValueError: if `num_examples` is not positive or `start_position` is negative.
    """
    if start_position < 0:
        raise ValueError(f"`start_position` must not be negative. Received: start_position={start_position}")

    def place(position: tf.Tensor) -> dict[str, tf.Tensor]:
        fraction = tf.random.stateless_uniform([], draw_seed(seed, position, Draw.WINDOW))
        if weights is None:
            index = shuffled_index(position, num_examples, seed)
        else:
            index = weighted_index(position, weights, seed)
        return {"position": position, "index": index, "fraction": fraction}

    if rows is None:
        positions = tf.data.Dataset.counter(tf.constant(start_position, tf.int64))
    elif steps is None:
        positions = rows.positions(start_position)
    else:
        positions = rows.positions_of(steps)
    return positions.map(place)


def rest_of_pass(order: tf.data.Dataset, end: int) -> Iterable[dict[str, Any]]:
    """The places of an order, as arrays, up to the position `end`."""
    return itertools.takewhile(lambda place: place["position"] < end, order.as_numpy_iterator())


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
