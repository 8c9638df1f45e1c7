"""Mixup shared across streams: one share per pair of examples, for sound, picture and labels alike."""

from __future__ import annotations

import tensorflow as tf

from zorro_keras.applications.pipelines.batch_rows import BatchRows, all_rows


def mixup(
    streams: dict[str, tf.Tensor],
    presence: dict[str, tf.Tensor],
    labels: tf.Tensor,
    seed: tf.Tensor,
    *,
    alpha: float,
    rows: BatchRows | None = None,
) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """Mixes each example with the one before it in the batch.

    An example is mixed only when its partner has every stream it has itself: otherwise one of its outputs
    would be trained towards a label it was never shown. A stream the example lacks stays absent. Presence
    never changes.

    Args:
        streams: dict of float `(B, ...)` by stream name, after preprocessing.
        presence: dict of bool `(B,)` with the same names. True = there.
        labels: float `(B, K)`, B static.
        seed: integer `(2,)`.
        alpha: float, positive. Shares are drawn from Beta(alpha, alpha), and the larger part is the example's
            own.
        rows: optional `BatchRows`. Which rows of a batch these are; None for all of them. A row whose partner
            is not among them comes back mixed with itself: see `BatchRows.with_partners`.

    Returns:
        The mixed streams and the mixed labels, same shapes.

    Reference: Zhang et al. 2018, mixup; one share for all modalities as in MBT.
    """
    rows = all_rows(labels.shape[0]) if rows is None else rows
    share = rows.of(_own_share(rows.batch_size, seed, alpha))
    own = tf.stack([presence[name] for name in sorted(presence)], axis=1)
    partner = rows.partners(own)
    share = tf.where(tf.reduce_all(partner | ~own, 1) & tf.reduce_any(own, 1), share, 1.0)
    mixed = {
        name: _blend(value, tf.where(presence[name], share, 1.0), rows) for name, value in streams.items()
    }
    return mixed, _blend(labels, share, rows)


def _own_share(batch_size: int, seed: tf.Tensor, alpha: float) -> tf.Tensor:
    """Draws max(x, 1 - x), x ~ Beta(alpha, alpha). Returns float32 `(B,)` in `[0.5, 1]`."""
    gamma = tf.random.stateless_gamma([2, batch_size], seed, alpha)
    # Both draws may underflow to 0 when alpha is small: then the example is left alone.
    share = tf.math.divide_no_nan(gamma[0], gamma[0] + gamma[1])
    return tf.maximum(share, 1.0 - share)


def _blend(value: tf.Tensor, share: tf.Tensor, rows: BatchRows) -> tf.Tensor:
    """Own share times own value plus the rest of the partner's, exact where the share is 1."""
    value = tf.convert_to_tensor(value)
    share = tf.cast(tf.reshape(share, [-1] + [1] * (value.shape.rank - 1)), value.dtype)
    return tf.where(share < 1.0, share * value + (1.0 - share) * rows.partners(value), value)
