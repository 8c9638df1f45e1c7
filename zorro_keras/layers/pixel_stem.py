"""Single pixels of an array as elements."""

import math

import keras

from zorro_keras.layers.grid_stem import GridStem


@keras.saving.register_keras_serializable("zorro_keras")
class PixelStem(GridStem):
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
        super().__init__("step", step, embed_dim, **kwargs)
        self.step = tuple(step)

    def cells(self, x):
        pixels = x[(slice(None), *(slice(None, None, step) for step in self.step))]
        return pixels[..., None] if len(pixels.shape) == len(self.step) + 1 else pixels

    def num_values(self, x_shape):
        return math.prod(x_shape[len(self.step) + 1 :])

    def grid(self, x_shape):
        sizes = zip(x_shape[1:], self.step, strict=False)
        return tuple(size if size is None else -(-size // step) for size, step in sizes)

    def get_config(self):
        return {**super().get_config(), "step": list(self.step)}
