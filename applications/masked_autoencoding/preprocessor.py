"""From a raw clip to the numbers that are hidden and told: saved with the model."""

from __future__ import annotations

import keras
import keras_hub

from zorro_keras.applications.pipelines.geometry import ClipGeometry


@keras.saving.register_keras_serializable("zorro_keras")
class MaskedClipPreprocessor(keras_hub.models.Preprocessor):
    """Brings pixels and samples to about unit deviation, so that both streams weigh alike in the loss.

    Args:
        geometry: `ClipGeometry`, or its config: the window of sound and picture.
        pixel_mean: float, taken from pixels in [0, 1].
        pixel_std, sample_std: floats > 0, by which pixels, then, and samples in [-1, 1] are divided.

    Call arguments:
        x: dict with `audio`, a float waveform `(B, samples)` in [-1, 1], and `video`, uint8 frames
            `(B, F, Y, X, 3)`; either may be missing. Anything else, such as `presence`, passes through.

    Returns:
        `x`, with `audio` and `video` as float32.
    """

    def __init__(self, geometry, pixel_mean=0.5, pixel_std=0.25, sample_std=0.1, **kwargs):
        super().__init__(**kwargs)
        self.geometry = ClipGeometry.from_config(geometry) if isinstance(geometry, dict) else geometry
        self.pixel_mean, self.pixel_std, self.sample_std = pixel_mean, pixel_std, sample_std
        pixels = keras.layers.Rescaling(1 / (255 * pixel_std), -pixel_mean / pixel_std, dtype="float32")
        self.rescale = {"audio": keras.layers.Rescaling(1 / sample_std, dtype="float32"), "video": pixels}
        self.built = True

    @property
    def scales(self):
        """By stream, what a unit of the model is worth in a clip."""
        return {"audio": self.sample_std, "video": self.pixel_std}

    def call(self, x, y=None, sample_weight=None):
        scaled = {name: rescale(x[name]) for name, rescale in self.rescale.items() if x.get(name) is not None}
        return keras.utils.pack_x_y_sample_weight({**x, **scaled}, y, sample_weight)

    def to_pixels(self, video):
        """Returns the pixels in [0, 1] of preprocessed ones: the way back."""
        return keras.ops.clip(video * self.pixel_std + self.pixel_mean, 0.0, 1.0)

    def get_config(self):
        return {
            **super().get_config(),
            "geometry": self.geometry.get_config(),
            "pixel_mean": self.pixel_mean,
            "pixel_std": self.pixel_std,
            "sample_std": self.sample_std,
        }
