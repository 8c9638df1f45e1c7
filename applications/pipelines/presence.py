"""Which streams of each example are there: absence is a flag, and what is absent holds zeros."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from zorro_keras.applications.pipelines.batch_rows import BatchRows


def zero_absent(streams: dict[str, tf.Tensor], presence: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Replaces whatever an absent stream holds, NaN included, by zeros.

    Args:
        streams: dict of `(B, ...)` tensors by stream name.
        presence: dict of bool `(B,)` with the same names. True = there.

    Returns:
        dict of tensors, same shapes and dtypes.
    """
    return {name: _kept(value, presence[name]) for name, value in streams.items()}


def drop_modality(
    presence: dict[str, tf.Tensor],
    seed: tf.Tensor,
    *,
    rate: float | Mapping[str, float],
    rows: BatchRows | None = None,
) -> dict[str, tf.Tensor]:
    """Takes streams away at random, never the last one of an example: a model learns to do without.

    Args:
        presence: dict of bool `(B,)` by stream name. True = there.
        seed: integer `(2,)`.
        rate: float in `[0, 1)`, or dict of them by stream. Probability of losing each stream; a draw that
            would leave none changes nothing.
        rows: optional `BatchRows`. Which rows of a batch these are; None for all of them.

    Returns:
        dict of bool `(B,)`. Never True where it was False.
    """
    names = sorted(presence)
    before = tf.stack([presence[name] for name in names])
    rates = [[rate[name] if isinstance(rate, Mapping) else rate] for name in names]
    if rows is None:
        draws = tf.random.stateless_uniform(tf.shape(before), seed)
    else:
        draws = rows.of(tf.random.stateless_uniform([len(names), rows.batch_size], seed), axis=1)
    kept = before & (draws >= tf.constant(rates, tf.float32))
    after = tf.where(tf.reduce_any(kept, 0), kept, before)
    return {name: after[row] for row, name in enumerate(names)}


def _kept(value: tf.Tensor, flags: tf.Tensor) -> tf.Tensor:
    """The rows of `value` whose flag is True; zeros elsewhere."""
    value = tf.convert_to_tensor(value)
    flags = tf.reshape(flags, [-1] + [1] * (value.shape.rank - 1))
    return tf.where(flags, value, tf.zeros([], value.dtype))
