"""Single pixels of an array as elements."""

import math

import keras

from zorro_keras.layers.initializers import fan_in_kernel


@keras.saving.register_keras_serializable("zorro_keras")
class PixelStem(keras.layers.Layer):
    """Takes the first pixel of every step, in space and in time; a linear layer may follow.

    With a projection it is a 1 x 1 convolution whose stride is the step.

    Args:
        step: tuple of int, how far apart the pixels are along the first axes after the batch.
        embed_dim: int, channels that a pixel is projected to; `None` keeps its values as they are.

    Call arguments:
        x: float tensor `(B, *shape)` or `(B, *shape, C)`.

    Returns:
        Tensor `(B, *grid, C)`, or `(B, *grid, embed_dim)`.

    Raises:
        ValueError: if a size is not positive.

    Reference:
        Perceiver IO, arXiv 2107.14795, appendix A: the ImageNet models of single pixels.
    """

    def __init__(self, step, embed_dim=None, **kwargs):
        super().__init__(**kwargs)
        if not step or min(*step, 1 if embed_dim is None else embed_dim) < 1:
            raise ValueError(
                "`step` must have positive sizes, `embed_dim` be positive or None. "
                f"Received: step={step}, embed_dim={embed_dim}"
            )
        self.step = tuple(step)
        self.embed_dim = embed_dim
        self.projection = None
        if embed_dim is not None:
            self.projection = keras.layers.Dense(
                embed_dim, kernel_initializer=fan_in_kernel(), dtype=self.dtype_policy, name="projection"
            )

    def build(self, x_shape):
        if self.projection is not None:
            self.projection.build((None, None, self._num_values(x_shape)))

    def call(self, x):
        pixels = x[(slice(None), *(slice(None, None, step) for step in self.step))]
        if len(pixels.shape) == len(self.step) + 1:
            pixels = pixels[..., None]
        return pixels if self.projection is None else self.projection(pixels)

    def _num_values(self, x_shape):
        return math.prod(x_shape[len(self.step) + 1 :])

    def compute_output_shape(self, x_shape):
        grid = (
            size if size is None else -(-size // step)
            for size, step in zip(x_shape[1:], self.step, strict=False)
        )
        return (x_shape[0], *grid, self.embed_dim or self._num_values(x_shape))

    def get_config(self):
        return {**super().get_config(), "step": list(self.step), "embed_dim": self.embed_dim}
