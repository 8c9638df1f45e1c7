"""From frames to what the model reads, and from pixels to its unit: saved with it, so nothing is guessed."""

from __future__ import annotations

import keras
import keras_hub


@keras.saving.register_keras_serializable("zorro_keras")
class FlowPreprocessor(keras_hub.models.Preprocessor):
    """Brings pixels to [-1, 1], and true flow to the unit that the model answers in.

    Args:
        size_px: two ints. Rows and columns that the model was trained on: the tile for larger pictures.
        flow_scale: float > 0. Pixels to one unit of the answer.

    Call arguments:
        x: dict with `frames`: uint8 or float `(B, 2, Y, X, 3)` in [0, 255], RGB.
        y: optional flow, float `(B, Y, X, 2)` in pixels.
        sample_weight: passed through.

    Returns:
        `x`, `(x, y)` or `(x, y, sample_weight)`, with `frames` float32 in [-1, 1] and `y` in units of
        `flow_scale` pixels.

    Raises:
        ValueError: if `frames` has another shape.

    Reference:
        Perceiver IO, arXiv 2107.14795, and the notebook released with it: `im / 255 * 2 - 1`, flow times 20.
    """

    def __init__(self, size_px, flow_scale=20.0, **kwargs):
        super().__init__(**kwargs)
        self.size_px = tuple(int(size) for size in size_px)
        self.flow_scale = float(flow_scale)
        self.normalise = keras.layers.Rescaling(1.0 / 127.5, -1.0, dtype="float32")
        self.to_units = keras.layers.Rescaling(1.0 / self.flow_scale, dtype="float32")
        for layer in (self.normalise, self.to_units):
            layer.build(None)  # of any shape; with one that is not built, `predict` first runs uncompiled
        self.built = True

    def call(self, x, y=None, sample_weight=None):
        shape = tuple(x["frames"].shape)
        if len(shape) != 5 or shape[1] != 2 or shape[4] != 3:
            raise ValueError(f"`frames` must have the shape (batch, 2, Y, X, 3). Received: {shape}")
        x = {**x, "frames": self.normalise(x["frames"])}
        y = None if y is None else self.to_units(y)
        if sample_weight is not None and len(sample_weight.shape) == 1:
            # As many axes as those of pixels have: TensorFlow would forget how many once it has seen both.
            sample_weight = sample_weight[:, None, None]
        return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)

    def get_config(self):
        return {
            **super().get_config(),
            "size_px": list(self.size_px),
            "flow_scale": self.flow_scale,
        }
