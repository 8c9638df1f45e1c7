"""Which part of a picture is looked at, and how it is brought to size. Stateless TensorFlow ops.

Reference: Perceiver IO, arXiv 2107.14795, appendix A, and the training code released with it.
"""

from __future__ import annotations

import enum

import tensorflow as tf


class ImageDraw(enum.IntEnum):
    """What a random number is for, as `order.Draw`. Never renumber: runs resume by these."""

    CROP = 32
    FLIP = 33
    RAND_AUGMENT = 34
    MIXUP = 35
    CUTMIX = 36


def inception_crop_box(
    height_px: tf.Tensor,
    width_px: tf.Tensor,
    seed: tf.Tensor,
    *,
    area: tuple[float, float] = (0.08, 1.0),
    aspect: tuple[float, float] = (3 / 4, 4 / 3),
    crop_fraction: float = 0.875,
) -> tf.Tensor:
    """A box of random area, aspect and place.

    Ten attempts are made; where none fits, or the box is the whole picture, it is the evaluation crop.

    Args:
        height_px, width_px: int scalars. The picture's size.
        seed: integer `(2,)`.
        area: two floats in (0, 1]. Share of the picture's area.
        aspect: two floats > 0. Width over height.
        crop_fraction: float. That of the evaluation crop.

    Returns:
        int32 `(4,)`: top, left, height, width, inside the picture.

    Reference:
        Szegedy et al. 2014, arXiv 1409.4842, section 6.
    """
    corner, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.stack([height_px, width_px, 3]),
        bounding_boxes=tf.constant([[[0.0, 0.0, 1.0, 1.0]]]),
        seed=seed,
        min_object_covered=0.1,
        aspect_ratio_range=aspect,
        area_range=area,
        max_attempts=10,
        use_image_if_no_bounding_boxes=True,
    )
    box = tf.concat([corner[:2], size[:2]], 0)
    is_whole = tf.reduce_all(size[:2] == tf.stack([height_px, width_px]))
    return tf.where(is_whole, evaluation_crop_box(height_px, width_px, crop_fraction), box)


def evaluation_crop_box(height_px: tf.Tensor, width_px: tf.Tensor, crop_fraction: float = 0.875) -> tf.Tensor:
    """The centred square that evaluation looks at.

    Args:
        height_px, width_px: int scalars. The picture's size.
        crop_fraction: float in (0, 1]. Side of the square over the picture's shorter side: 224 / 256 in the
            paper.

    Returns:
        int32 `(4,)`: top, left, height, width. The side is rounded down, the corner up.
    """
    shorter = tf.minimum(height_px, width_px)
    side = tf.maximum(tf.cast(crop_fraction * tf.cast(shorter, tf.float32), tf.int32), 1)
    corner = (tf.stack([height_px, width_px]) - side + 1) // 2
    return tf.concat([corner, tf.stack([side, side])], 0)


def cut(image: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
    """The part of an image `(Y, X, 3)` inside a box: top, left, height, width."""
    return tf.image.crop_to_bounding_box(image, box[0], box[1], box[2], box[3])


def resize(image: tf.Tensor, size_px: int) -> tf.Tensor:
    """Brings an image to `size_px` squared, bicubic, without anti-aliasing and without clamping.

    Args:
        image: uint8 `(Y, X, 3)`.
        size_px: int.

    Returns:
        float32 `(size_px, size_px, 3)`. At edges it overshoots [0, 255], as in the published recipe.
    """
    resized = tf.image.resize(image, [size_px, size_px], tf.image.ResizeMethod.BICUBIC)
    return tf.ensure_shape(resized, [size_px, size_px, 3])


def random_flip(image: tf.Tensor, seed: tf.Tensor, rate: float = 0.5) -> tf.Tensor:
    """Mirrors an image `(Y, X, 3)` left to right. Keep `rate` 0 where direction carries the label."""
    return tf.where(tf.random.stateless_uniform([], seed) < rate, image[:, ::-1], image)


def evaluation_image(image: tf.Tensor, size_px: int, crop_fraction: float = 0.875) -> tf.Tensor:
    """What evaluation and inference see of an image: uint8 `(Y, X, 3)` to float32 `(size_px, size_px, 3)`."""
    shape = tf.shape(image)
    return resize(cut(image, evaluation_crop_box(shape[0], shape[1], crop_fraction)), size_px)


def evaluation_view(images: tf.Tensor, size_px: int, crop_fraction: float = 0.875) -> tf.Tensor:
    """`evaluation_image` of a batch of one open size, by exact weights, as a saved preprocessor computes it.

    `tf.image.resize` reads its weights from a table, which shifts a value by up to 0.3 of 255.

    Args:
        images: uint8 `(B, Y, X, 3)`.
        size_px: int.
        crop_fraction: float in (0, 1].

    Returns:
        float32 `(B, size_px, size_px, 3)`.
    """
    shape = tf.shape(images)
    box = evaluation_crop_box(shape[1], shape[2], crop_fraction)
    square = tf.cast(cut(images, box), tf.float32)
    weights = _bicubic_weights(box[2], size_px)
    view = tf.einsum("iy,jx,byxc->bijc", weights, weights, square)
    return tf.ensure_shape(view, [None, size_px, size_px, 3])


def _bicubic_weights(size_in: tf.Tensor, size_out: int) -> tf.Tensor:
    """`bicubic_matrix` of a size that is known only when the graph runs."""
    size_in = tf.cast(size_in, tf.float64)
    centres = (tf.range(size_out, dtype=tf.float64) + 0.5) * size_in / size_out - 0.5
    distance = tf.abs(centres[:, None] - tf.range(size_in)[None])
    near = (1.5 * distance - 2.5) * distance**2 + 1.0
    far = ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0
    weights = tf.where(distance <= 1.0, near, tf.where(distance < 2.0, far, 0.0))
    return tf.cast(weights / tf.reduce_sum(weights, axis=1, keepdims=True), tf.float32)
