"""Brings frames of any size to the size of the model: at random in training, centred in evaluation."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from zorro_keras.applications.pipelines.augment_video import (
    centre_crop_box,
    crop_and_resize,
    crop_size_px,
    random_colour,
    random_crop_box,
    random_flip,
)
from zorro_keras.applications.pipelines.order import Draw, draw_seed

# The scales libjpeg can decode at, largest reduction first.
JPEG_RATIOS = (8, 4, 2, 1)


@dataclass(frozen=True)
class FrameFit:
    """Crop, scale, flip and colour of one clip; every frame is treated alike.

    Args:
        height_px: int. Height of the result.
        width_px: int. Width of the result.
        seed: optional int. The seed of the run; None crops the centre and changes nothing else.
        zoom: two floats, at least 1. Scale jitter.
        flip_rate: float in [0, 1].
        colour_rate: float in [0, 1].
        grey_rate: float in [0, 1].
    """

    height_px: int
    width_px: int
    seed: int | None = None
    zoom: tuple[float, float] = (1.0, 1.0)
    flip_rate: float = 0.0
    colour_rate: float = 0.0
    grey_rate: float = 0.0

    def __call__(self, frames: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
        """Fits decoded frames.

        Args:
            frames: uint8 `(F, Y, X, 3)`.
            position: int64 scalar. Where the example stands in the order; seeds every choice.

        Returns:
            uint8 `(F, height_px, width_px, 3)`.
        """
        shape = tf.shape(frames)
        sizes = (shape[1], shape[2], self.height_px, self.width_px)
        if self.seed is None:
            return crop_and_resize(frames, centre_crop_box(*sizes), self.height_px, self.width_px)
        box = random_crop_box(*sizes, draw_seed(self.seed, position, Draw.CROP), zoom_range=self.zoom)
        frames = crop_and_resize(frames, box, self.height_px, self.width_px)
        if self.flip_rate:
            flip_seed = draw_seed(self.seed, position, Draw.FLIP)
            frames = random_flip(frames, flip_seed, probability=self.flip_rate)
        if self.colour_rate or self.grey_rate:
            frames = random_colour(
                frames,
                draw_seed(self.seed, position, Draw.COLOUR),
                probability=self.colour_rate,
                grey_probability=self.grey_rate,
            )
        return frames

    def from_jpegs(self, jpegs: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
        """Decodes JPEGs of equal size, at the smallest scale that loses nothing, and fits them.

        Args:
            jpegs: string `(F,)`.
            position: int64 scalar.

        Returns:
            uint8 `(F, height_px, width_px, 3)`.
        """
        shape = tf.image.extract_jpeg_shape(jpegs[0])
        smallest_crop = crop_size_px(
            shape[0], shape[1], self.height_px, self.width_px, tf.constant(self.zoom[1], tf.float32)
        )
        target = tf.constant([self.height_px, self.width_px])
        enough = tf.stack(
            [tf.reduce_all(smallest_crop >= ratio * target) for ratio in JPEG_RATIOS[:-1]] + [True]
        )
        branches = [_decoder(jpegs, ratio) for ratio in JPEG_RATIOS]
        # Branches read at most one scale: decoding a quarter of the width costs a fraction of the whole.
        frames = tf.switch_case(tf.argmax(enough, output_type=tf.int32), branches)
        return self(frames, position)


def _decoder(jpegs: tf.Tensor, ratio: int):
    def decode_one(jpeg: tf.Tensor) -> tf.Tensor:
        return tf.io.decode_jpeg(jpeg, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE")

    def decode() -> tf.Tensor:
        return tf.map_fn(decode_one, jpegs, fn_output_signature=tf.TensorSpec([None, None, 3], tf.uint8))

    return decode
