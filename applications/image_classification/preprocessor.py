"""From a picture to what the classifier reads: saved with the model, so that inference never guesses."""

from __future__ import annotations

import keras
import keras_hub
import numpy as np

from zorro_keras.applications.pipelines.image_resize import bicubic_matrix


@keras.saving.register_keras_serializable("zorro_keras")
class ImagePreprocessor(keras_hub.models.Preprocessor):
    """Looks at the centre of whole pictures, and normalises pixels.

    It also keeps what a user of the model must know: sizes and the names of the classes.

    Args:
        size_px: int. Height and width that the model reads.
        mean, std: three floats each, of pixels in [0, 255].
        label_names: sequence of K class names, in the order of the logits.
        crop_fraction: float in (0, 1]. Side of the centred square over the shorter side of a picture.

    Call arguments:
        x: dict with `image`: uint8 `(B, Y, X, 3)`, whole pictures of any one size, of which evaluation's
            square is cut out and brought to size, bicubic; or floats `(B, size_px, size_px, 3)` in [0, 255],
            already brought to size.
        y: labels, passed through.
        sample_weight: passed through.

    Returns:
        `x`, `(x, y)` or `(x, y, sample_weight)`, with `image` float32 `(B, size_px, size_px, 3)`.
    """

    def __init__(self, size_px, mean, std, label_names=(), crop_fraction=0.875, **kwargs):
        super().__init__(**kwargs)
        self.size_px = size_px
        self.mean = [float(value) for value in mean]
        self.std = [float(value) for value in std]
        self.label_names = list(label_names)
        self.crop_fraction = crop_fraction
        self.view = _EvaluationView(size_px, crop_fraction)
        self.normalise = keras.layers.Rescaling(
            [1.0 / std for std in self.std],
            [-mean / std for mean, std in zip(self.mean, self.std, strict=True)],
            dtype="float32",
        )
        for layer in (self.view, self.normalise):
            layer.build(None)  # of any shape; with one that is not built, `predict` first runs uncompiled
        self.built = True

    def call(self, x, y=None, sample_weight=None):
        image = x["image"]
        if keras.backend.standardize_dtype(image.dtype) == "uint8":
            image = self.view(image)
        elif tuple(image.shape[1:]) != (self.size_px, self.size_px, 3):
            raise ValueError(
                f"`image` must be uint8, or float of shape (batch, {self.size_px}, {self.size_px}, 3). "
                f"Received: {keras.backend.standardize_dtype(image.dtype)} {tuple(image.shape)}"
            )
        return keras.utils.pack_x_y_sample_weight({**x, "image": self.normalise(image)}, y, sample_weight)

    def get_config(self):
        return {
            **super().get_config(),
            "size_px": self.size_px,
            "mean": self.mean,
            "std": self.std,
            "label_names": self.label_names,
            "crop_fraction": self.crop_fraction,
        }


class _EvaluationView(keras.layers.Rescaling):
    """The centred square of pictures, brought to size by two matrices: the same on every backend."""

    def __init__(self, size_px, crop_fraction, **kwargs):
        super().__init__(1.0, dtype="float32", **kwargs)
        self.size_px = size_px
        self.crop_fraction = crop_fraction

    def call(self, inputs):
        _, height, width, _ = inputs.shape
        if height is None or width is None:
            raise ValueError(f"Pictures must be of one known size. Received: {tuple(inputs.shape)}")
        side = max(int(np.float32(self.crop_fraction) * np.float32(min(height, width))), 1)
        top, left = (height - side + 1) // 2, (width - side + 1) // 2
        square = super().call(inputs[:, top : top + side, left : left + side])
        matrix = bicubic_matrix(side, self.size_px)
        return self.backend.numpy.einsum("iy,jx,byxc->bijc", matrix, matrix, square)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.size_px, self.size_px, input_shape[-1])
