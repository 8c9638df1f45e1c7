"""Random crop, scale, flip and colour, alike for every frame of a clip. Stateless TensorFlow ops."""

from __future__ import annotations

import tensorflow as tf

# Weights of red, green and blue in perceived brightness, ITU-R BT.601.
LUMA = (0.299, 0.587, 0.114)


def crop_size_px(
    height_px: tf.Tensor, width_px: tf.Tensor, target_height_px: int, target_width_px: int, zoom: tf.Tensor
) -> tf.Tensor:
    """The size of the part of a frame that is kept: the largest box of the target's aspect, over `zoom`.

    Args:
        height_px: int scalar. Height of the frames, Y.
        width_px: int scalar. Width of the frames, X.
        target_height_px: int. Height the crop will be resized to.
        target_width_px: int. Width the crop will be resized to.
        zoom: float scalar. At least 1; 1 keeps as much as fits.

    Returns:
        int32 `(2,)`: height and width, each at least 1 and at most the frame's.
    """
    size = tf.cast(tf.stack([height_px, width_px]), tf.float32)
    target = tf.constant([target_height_px, target_width_px], tf.float32)
    box = target * tf.reduce_min(size / target) / tf.maximum(zoom, 1.0)
    return tf.cast(tf.clip_by_value(tf.round(box), 1.0, size), tf.int32)


def random_crop_box(
    height_px: tf.Tensor,
    width_px: tf.Tensor,
    target_height_px: int,
    target_width_px: int,
    seed: tf.Tensor,
    *,
    zoom_range: tuple[float, float] = (1.0, 1.33),
) -> tf.Tensor:
    """A box at a random place and of a random scale.

    Args:
        height_px: int scalar. Height of the frames, Y.
        width_px: int scalar. Width of the frames, X.
        target_height_px: int. Height the crop will be resized to.
        target_width_px: int. Width the crop will be resized to.
        seed: integer `(2,)`.
        zoom_range: two floats, at least 1. How much the content is enlarged: scale jitter.

    Returns:
        int32 `(4,)`: top, left, height, width, inside the frame.
    """
    draws = tf.random.stateless_uniform([3], seed)
    low, high = zoom_range
    size = crop_size_px(height_px, width_px, target_height_px, target_width_px, low + (high - low) * draws[0])
    spare = tf.cast(tf.stack([height_px, width_px]) - size + 1, tf.float32)
    corner = tf.cast(tf.floor(draws[1:] * spare), tf.int32)
    return tf.concat([corner, size], 0)


def centre_crop_box(
    height_px: tf.Tensor, width_px: tf.Tensor, target_height_px: int, target_width_px: int
) -> tf.Tensor:
    """The largest centred box with the target's aspect.

    Returns:
        int32 `(4,)`: top, left, height, width.
    """
    size = crop_size_px(height_px, width_px, target_height_px, target_width_px, tf.constant(1.0))
    corner = (tf.stack([height_px, width_px]) - size) // 2
    return tf.concat([corner, size], 0)


def crop_and_resize(video: tf.Tensor, box: tf.Tensor, height_px: int, width_px: int) -> tf.Tensor:
    """Cuts a box out of every frame and resizes it, with anti-aliasing.

    Args:
        video: uint8 `(F, Y, X, 3)`.
        box: int32 `(4,)`: top, left, height, width.
        height_px: int. Height of the result.
        width_px: int. Width of the result.

    Returns:
        uint8 `(F, height_px, width_px, 3)`.
    """
    part = tf.image.crop_to_bounding_box(video, box[0], box[1], box[2], box[3])
    resized = tf.image.resize(part, [height_px, width_px], antialias=True)
    return _to_uint8(resized)


def random_flip(video: tf.Tensor, seed: tf.Tensor, *, probability: float = 0.5) -> tf.Tensor:
    """Mirrors a clip left to right. Leave it off where direction carries the label.

    Args:
        video: `(F, Y, X, C)`, any dtype.
        seed: integer `(2,)`.
        probability: float in `[0, 1]`.

    Returns:
        The clip, same shape and dtype.
    """
    flip = tf.random.stateless_uniform([], seed) < probability
    return tf.where(flip, video[:, :, ::-1], video)


def random_colour(
    video: tf.Tensor,
    seed: tf.Tensor,
    *,
    probability: float = 0.8,
    brightness: float = 0.125,
    contrast: float = 0.4,
    saturation: float = 0.4,
    grey_probability: float = 0.1,
) -> tf.Tensor:
    """Changes brightness, contrast and saturation of a clip, and sometimes takes all colour away.

    Args:
        video: uint8 `(F, Y, X, 3)`.
        seed: integer `(2,)`.
        probability: float in `[0, 1]`. How often brightness, contrast and saturation change.
        brightness: float in `[0, 1]`. Largest shift, as a share of the full range.
        contrast: float in `[0, 1]`. Largest relative change of the distance to the clip's mean.
        saturation: float in `[0, 1]`. Largest relative change of the distance to grey.
        grey_probability: float in `[0, 1]`. How often the clip becomes grey.

    Returns:
        uint8 `(F, Y, X, 3)`.

    Reference: the recipe of MBT (scenic): colour with probability 0.8, grey with probability 0.1.
    """
    draws = tf.random.stateless_uniform([5], seed)
    shift, contrast_change, saturation_change = tf.unstack(2.0 * draws[:3] - 1.0)
    original = tf.cast(video, tf.float32)
    changed = original + shift * brightness * 255.0
    mean = tf.reduce_mean(changed)
    changed = mean + (changed - mean) * (1.0 + contrast_change * contrast)
    grey = _grey(changed)
    changed = grey + (changed - grey) * (1.0 + saturation_change * saturation)
    changed = tf.where(draws[3] < probability, changed, original)
    return _to_uint8(tf.where(draws[4] < grey_probability, _grey(changed), changed))


def _grey(video: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(video * tf.constant(LUMA), -1, keepdims=True) * tf.ones([3])


def _to_uint8(video: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.clip_by_value(tf.round(video), 0.0, 255.0), tf.uint8)
