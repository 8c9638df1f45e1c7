"""Which output points a step asks for: a pure function of (seed, step)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from zorro_keras.applications.pipelines.order import Draw, draw_seed

_DRAWS = {"audio": Draw.AUDIO_POINTS, "image": Draw.IMAGE_POINTS}


def random_points(
    seed: int, step: tf.Tensor, counts: Mapping[str, int], totals: Mapping[str, int]
) -> dict[str, tf.Tensor]:
    """Draws points of each output, no point twice.

    Args:
        seed: int. The seed of the run.
        step: int64 scalar. Another step draws other points.
        counts: dict of "audio" and "image" to how many points to draw.
        totals: dict of the same to how many there are.

    Returns:
        Dict of output to int32 `(count,)`, flat indices in [0, total).
    """
    rows = {}
    for name, count in counts.items():
        key, last = draw_seed(seed, step, _DRAWS[name]), tf.constant(totals[name] - 1, tf.int64)
        places = tf.range(count, dtype=tf.int64)
        rows[name] = tf.cast(tf.random.experimental.index_shuffle(places, key, last), tf.int32)
    return rows


def with_points(
    dataset: tf.data.Dataset,
    counts: Mapping[str, int],
    totals: Mapping[str, int],
    *,
    seed: int = 0,
    start_step: int = 0,
) -> tf.data.Dataset:
    """Adds `rows` to the inputs of batches of one's own, so that `fit` asks for some points of each.

    Args:
        dataset: dataset of `x`, or of tuples that begin with it; `x` a dict.
        counts, totals: as for `random_points`.
        seed: int.
        start_step: int. Number of the first batch.
    """

    def add(step: tf.Tensor, batch: Any) -> Any:
        x, *rest = batch if isinstance(batch, tuple) else (batch,)
        x = {**x, "rows": random_points(seed, step, counts, totals)}
        return (x, *rest) if rest else x

    steps = tf.data.Dataset.counter(tf.constant(start_step, tf.int64))
    return tf.data.Dataset.zip((steps, dataset)).map(add)
