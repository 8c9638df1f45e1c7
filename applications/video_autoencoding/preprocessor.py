"""From a raw clip to what the autoencoder reads: saved with the model, so that inference never guesses."""

from __future__ import annotations

import keras
import keras_hub

from zorro_keras.applications.pipelines.geometry import ClipGeometry

# The streams of a clip by the names of the model's inputs.
INPUTS = {"audio": "audio", "video": "image"}


@keras.saving.register_keras_serializable("zorro_keras")
class VideoAutoencoderPreprocessor(keras_hub.models.Preprocessor):
    """Brings pixels to [0, 1], and names the streams of a clip as the model does.

    It also keeps what a user of the model must know: the geometry of a clip and the names of the classes.

    Args:
        geometry: `ClipGeometry`, or its config: the window of sound and picture.
        label_names: sequence of K class names, in the order of the logits.

    Call arguments:
        x: dict with `audio`, a float waveform `(B, samples)` in [-1, 1], and `video`, uint8 frames
            `(B, F, Y, X, 3)`; either may be missing. `presence` may map them to bool `(B,)`. Anything else,
            such as `label`, passes through.
        y: labels, passed through.
        sample_weight: passed through.

    Returns:
        `x`, `(x, y)` or `(x, y, sample_weight)`, with `audio` as it was, and `image` float32 in [0, 1].
    """

    def __init__(self, geometry, label_names=(), **kwargs):
        super().__init__(**kwargs)
        self.geometry = ClipGeometry.from_config(geometry) if isinstance(geometry, dict) else geometry
        self.rescale = keras.layers.Rescaling(1 / 255, dtype="float32")
        self.label_names = list(label_names)
        self.built = True

    def call(self, x, y=None, sample_weight=None):
        x = {INPUTS.get(name, name): value for name, value in x.items()}
        if x.get("image") is not None:
            x["image"] = self.rescale(x["image"])
        if "presence" in x:
            x["presence"] = {INPUTS.get(name, name): flags for name, flags in x["presence"].items()}
        return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)

    def get_config(self):
        return {
            **super().get_config(),
            "geometry": self.geometry.get_config(),
            "label_names": self.label_names,
        }
