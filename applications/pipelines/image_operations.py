"""The sixteen operations that RandAugment chooses from, on one image: uint8 `(Y, X, 3)` in and out.

Each is a function of (image, magnitude, seed): magnitude a Python number from 0 to 10, seed an integer `(2,)`
that only those with a sign or a place need. What they compute follows Pillow's ImageOps and ImageEnhance.

Reference: AutoAugment, arXiv 1805.09501, Table 6; RandAugment, arXiv 1909.13719, with the two operations
(Cutout and SolarizeAdd) and the ranges of the code released with Perceiver IO.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

Operation = Callable[[tf.Tensor, float, tf.Tensor], tf.Tensor]

LARGEST = 10.0
GREY = 128.0  # fills what a moved image leaves empty
# What magnitude 10 means.
_DEGREES, _SHEAR, _SHIFT_PX, _CUTOUT_PX = 30.0, 0.3, 100.0, 40.0
_LUMA = (0.2989, 0.587, 0.114)


def auto_contrast(image: tf.Tensor, magnitude: float, seed: tf.Tensor) -> tf.Tensor:
    """Stretches each channel to [0, 255]; one of a single value stays."""
    pixels = tf.cast(image, tf.float32)
    low, high = (reduce(pixels, [0, 1]) for reduce in (tf.reduce_min, tf.reduce_max))
    stretched = (pixels - low) * 255.0 / tf.maximum(high - low, 1.0)
    return tf.where(high > low, _to_uint8(stretched), image)


def equalize(image: tf.Tensor, magnitude: float, seed: tf.Tensor) -> tf.Tensor:
    """Makes the values of each channel equally frequent, as far as they can be."""
    values = tf.cast(tf.reshape(image, [-1, 3]), tf.int32)
    by_channel = values + 256 * tf.range(3)
    counts = tf.math.bincount(tf.reshape(by_channel, [-1]), minlength=768, maxlength=768)
    counts = tf.reshape(counts, [3, 256])
    of_highest = tf.gather(counts, tf.reduce_max(values, 0), axis=1, batch_dims=1)
    step = (tf.shape(values)[0] - of_highest) // 255
    below = tf.cumsum(counts, axis=1, exclusive=True)
    safe = tf.maximum(step, 1)[:, None]
    table = tf.clip_by_value((below + safe // 2) // safe, 0, 255)
    table = tf.where(step[:, None] > 0, table, tf.range(256))
    return tf.reshape(tf.cast(tf.gather(tf.reshape(table, [-1]), by_channel), tf.uint8), tf.shape(image))


def invert(image: tf.Tensor, magnitude: float, seed: tf.Tensor) -> tf.Tensor:
    """Dark becomes light."""
    return 255 - image


def rotate(image: tf.Tensor, magnitude: float, seed: tf.Tensor) -> tf.Tensor:
    """Turns about the centre, up to 30 degrees to either side."""
    angle = _signed(math.radians(_DEGREES * magnitude / LARGEST), seed)
    sine, cosine = tf.sin(angle), tf.cos(angle)
    last = tf.cast(tf.shape(image)[:2] - 1, tf.float32)
    x = (last[1] - (cosine * last[1] - sine * last[0])) / 2.0
    y = (last[0] - (sine * last[1] + cosine * last[0])) / 2.0
    return _move(image, [cosine, -sine, x, sine, cosine, y])


def posterize(image: tf.Tensor, magnitude: float, seed: tf.Tensor) -> tf.Tensor:
    """Keeps the upper 4 bits at magnitude 10, fewer below: the smaller the magnitude, the stronger."""
    kept = int(4 * magnitude / LARGEST)
    if kept == 0:  # a shift by all eight bits is not defined
        return tf.zeros_like(image)
    lost = tf.constant(8 - kept, tf.uint8)
    return tf.bitwise.left_shift(tf.bitwise.right_shift(image, lost), lost)


def solarize(image: tf.Tensor, magnitude: float, seed: tf.Tensor) -> tf.Tensor:
    """Inverts what is brighter than a threshold: the smaller the magnitude, the stronger."""
    threshold = int(256 * magnitude / LARGEST)
    return tf.where(tf.cast(image, tf.int32) < threshold, image, 255 - image)


def solarize_add(image: tf.Tensor, magnitude: float, seed: tf.Tensor) -> tf.Tensor:
    """Brightens what is darker than the middle, by up to 110."""
    brighter = tf.minimum(tf.cast(image, tf.int32) + int(110 * magnitude / LARGEST), 255)
    return tf.where(image < 128, tf.cast(brighter, tf.uint8), image)


def colour(image: tf.Tensor, magnitude: float, seed: tf.Tensor) -> tf.Tensor:
    """Less or more colour; magnitude 5 changes nothing."""
    return _enhance(tf.tile(_brightness_of(image), [1, 1, 3]), image, magnitude)


def contrast(image: tf.Tensor, magnitude: float, seed: tf.Tensor) -> tf.Tensor:
    """Less or more distance to the mean brightness; magnitude 5 changes nothing.

    The released code counts pixels where Pillow takes their mean; at its own magnitude of 5 both do nothing.
    """
    mean = tf.round(tf.reduce_mean(_brightness_of(image)))
    return _enhance(tf.fill(tf.shape(image), mean), image, magnitude)


def brightness(image: tf.Tensor, magnitude: float, seed: tf.Tensor) -> tf.Tensor:
    """Darker or brighter; magnitude 5 changes nothing."""
    return _enhance(tf.zeros_like(image, tf.float32), image, magnitude)


def sharpness(image: tf.Tensor, magnitude: float, seed: tf.Tensor) -> tf.Tensor:
    """Blurred or sharpened, but for the border; magnitude 5 changes nothing."""
    pixels = tf.cast(image, tf.float32)
    padded = tf.pad(pixels, [[1, 1], [1, 1], [0, 0]])
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    around = sum(padded[y : y + height, x : x + width] for y in range(3) for x in range(3))
    smooth = tf.cast(_to_uint8((around + 4.0 * pixels) / 13.0), tf.float32)
    inside = tf.pad(
        tf.ones([tf.maximum(height - 2, 0), tf.maximum(width - 2, 0), 1]), [[1, 1], [1, 1], [0, 0]]
    )
    inside = inside[:height, :width]
    return _enhance(tf.where(inside > 0, smooth, pixels), image, magnitude)


def shear_x(image: tf.Tensor, magnitude: float, seed: tf.Tensor) -> tf.Tensor:
    """Rows slide sideways, by up to 0.3 of their distance from the top."""
    return _move(image, [1.0, _signed(_SHEAR * magnitude / LARGEST, seed), 0.0, 0.0, 1.0, 0.0])


def shear_y(image: tf.Tensor, magnitude: float, seed: tf.Tensor) -> tf.Tensor:
    """Columns slide up or down, by up to 0.3 of their distance from the left."""
    return _move(image, [1.0, 0.0, 0.0, _signed(_SHEAR * magnitude / LARGEST, seed), 1.0, 0.0])


def translate_x(image: tf.Tensor, magnitude: float, seed: tf.Tensor) -> tf.Tensor:
    """Moves sideways by up to 100 px."""
    return _move(image, [1.0, 0.0, _signed(_SHIFT_PX * magnitude / LARGEST, seed), 0.0, 1.0, 0.0])


def translate_y(image: tf.Tensor, magnitude: float, seed: tf.Tensor) -> tf.Tensor:
    """Moves up or down by up to 100 px."""
    return _move(image, [1.0, 0.0, 0.0, 0.0, 1.0, _signed(_SHIFT_PX * magnitude / LARGEST, seed)])


def cutout(image: tf.Tensor, magnitude: float, seed: tf.Tensor) -> tf.Tensor:
    """Greys a square of up to 80 px, its centre anywhere in the image."""
    reach = int(_CUTOUT_PX * magnitude / LARGEST)
    size = tf.shape(image)[:2]
    centre = tf.cast(tf.random.stateless_uniform([2], seed) * tf.cast(size, tf.float32), tf.int32)
    rows, columns = (
        (tf.range(size[axis]) >= centre[axis] - reach) & (tf.range(size[axis]) < centre[axis] + reach)
        for axis in range(2)
    )
    hidden = rows[:, None, None] & columns[None, :, None]
    return tf.where(hidden, tf.cast(GREY, tf.uint8), image)


OPERATIONS: dict[str, Operation] = {
    "auto_contrast": auto_contrast,
    "equalize": equalize,
    "invert": invert,
    "rotate": rotate,
    "posterize": posterize,
    "solarize": solarize,
    "colour": colour,
    "contrast": contrast,
    "brightness": brightness,
    "sharpness": sharpness,
    "shear_x": shear_x,
    "shear_y": shear_y,
    "translate_x": translate_x,
    "translate_y": translate_y,
    "cutout": cutout,
    "solarize_add": solarize_add,
}


def _enhance(degenerate: tf.Tensor, image: tf.Tensor, magnitude: float) -> tf.Tensor:
    """Goes from a degenerate image (factor 0) through the image (factor 1) beyond it, in [0.1, 1.9]."""
    factor = 1.8 * magnitude / LARGEST + 0.1
    pixels = tf.cast(image, tf.float32)
    return _to_uint8(degenerate + factor * (pixels - degenerate))


def _brightness_of(image: tf.Tensor) -> tf.Tensor:
    """Perceived brightness, float32 `(Y, X, 1)`."""
    return tf.floor(tf.reduce_sum(tf.cast(image, tf.float32) * tf.constant(_LUMA), -1, keepdims=True))


def _move(image: tf.Tensor, transform: list) -> tf.Tensor:
    """Takes each pixel (x, y) from the one nearest to (a x + b y + c, d x + e y + f), or grey."""
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=image[None],
        transforms=tf.stack([tf.cast(number, tf.float32) for number in (*transform, 0.0, 0.0)])[None],
        output_shape=tf.shape(image)[:2],
        fill_value=GREY,
        interpolation="NEAREST",
        fill_mode="CONSTANT",
    )
    return moved[0]


def _signed(amount: float, seed: tf.Tensor) -> tf.Tensor:
    return tf.where(tf.random.stateless_uniform([], seed) < 0.5, amount, -amount)


def _to_uint8(pixels: tf.Tensor) -> tf.Tensor:
    """Clips and cuts off the fraction; a hundredth forgives the rounding of floats."""
    return tf.cast(tf.clip_by_value(pixels + 0.01, 0.0, 255.0), tf.uint8)
