"""MixUp on one half of a batch and CutMix on the other: two pictures make each example.

Reference: MixUp, arXiv 1710.09412; CutMix, arXiv 1905.04899, with a uniform area; together as in NFNets and
Perceiver IO (arXiv 2107.14795, appendix A, whose 0.2 is MixUp's alpha).
"""

from __future__ import annotations

import tensorflow as tf

from zorro_keras.applications.pipelines.batch_rows import BatchRows


def mix_pairs(
    images: tf.Tensor,
    labels: tf.Tensor,
    weight: tf.Tensor,
    mixup_seed: tf.Tensor,
    cutmix_seed: tf.Tensor,
    *,
    mixup_alpha: float = 0.2,
    cutmix: bool = True,
    rows: BatchRows | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Makes B examples of 2 B pictures: example i of pictures 2 i and 2 i + 1.

    The first half of the examples is mixed by MixUp, the rest by CutMix; where one of the two is off, all
    by the other. A picture that is missing leaves its partner as it is.

    Args:
        images: float `(2 B, Y, X, C)`.
        labels: float `(2 B, K)`.
        weight: float `(2 B,)`: 1, or 0 for a missing picture.
        mixup_seed, cutmix_seed: integers `(2,)`.
        mixup_alpha: float >= 0. The share of the first picture comes from Beta(alpha, alpha); 0 is off.
        cutmix: bool.
        rows: optional `BatchRows`. Which rows of a batch these examples are; None for all of them.

    Returns:
        Images `(B, Y, X, C)`, labels `(B, K)` mixed in the same shares, and weight `(B,)`, 1 where at least
        one of the two pictures is there.
    """
    (first, second), (first_label, second_label), (has_first, has_second) = (
        (value[0::2], value[1::2]) for value in (images, labels, weight)
    )
    batch, height, width = tf.shape(first)[0], tf.shape(first)[1], tf.shape(first)[2]
    if rows is not None:
        batch = rows.batch_size
    num_mixup = batch if not cutmix else batch // 2 if mixup_alpha else 0
    is_mixup = tf.range(batch) < num_mixup
    boxes = cutmix_masks(cutmix_seed, batch, height, width)
    mixup_share = beta(mixup_seed, batch, mixup_alpha) if mixup_alpha else tf.ones([batch])
    if rows is not None:
        is_mixup, boxes, mixup_share = (rows.of(drawn) for drawn in (is_mixup, boxes, mixup_share))
    mask = tf.where(_column(is_mixup, 4), _column(mixup_share, 4), boxes)
    mask = tf.where(_column(has_second, 4) > 0, mask, 1.0)
    mask = tf.where(_column(has_first, 4) > 0, mask, 0.0)
    share = tf.reduce_mean(mask, [1, 2, 3])[:, None]
    mixed = mask * first + (1.0 - mask) * second
    return (
        tf.ensure_shape(mixed, first.shape),
        share * first_label + (1.0 - share) * second_label,
        tf.maximum(has_first, has_second),
    )


def beta(seed: tf.Tensor, count: tf.Tensor, alpha: float) -> tf.Tensor:
    """Draws from Beta(alpha, alpha). Returns float32 `(count,)` in [0, 1]."""
    gamma = tf.random.stateless_gamma([2, count], seed, alpha)
    # Both draws may underflow to 0 when alpha is small: then it is the first alone.
    total = gamma[0] + gamma[1]
    return tf.where(total > 0.0, tf.math.divide_no_nan(gamma[0], total), 1.0)


def cutmix_masks(seed: tf.Tensor, count: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """Boxes of uniform area about uniform centres, cut off at the border.

    Returns:
        float32 `(count, height, width, 1)`: 1 in the box, which shows the first picture, and 0 outside.
    """
    draws = tf.random.stateless_uniform([3, count], seed)
    side = tf.sqrt(1.0 - draws[0])  # as a share of the image's
    inside = []
    for size, centre in ((height, draws[1]), (width, draws[2])):
        extent = tf.cast(size, tf.float32)
        middle = tf.floor(centre * extent)[:, None]
        half = tf.floor(tf.floor(side * extent) / 2.0)[:, None]
        place = tf.range(extent)[None]
        inside.append((place >= middle - half) & (place < middle + half))
    box = inside[0][:, :, None] & inside[1][:, None, :]
    return tf.cast(box, tf.float32)[..., None]


def _column(values: tf.Tensor, rank: int) -> tf.Tensor:
    return tf.reshape(values, [-1] + [1] * (rank - 1))
