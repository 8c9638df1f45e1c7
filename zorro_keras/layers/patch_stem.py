"""Patches of an array as elements: every value of a patch is kept."""

import math

import keras

from zorro_keras.layers.grid_stem import GridStem
from zorro_keras.layers.patches import cut_patches


@keras.saving.register_keras_serializable("zorro_keras")
class PatchStem(GridStem):
    """Cuts an array into patches and reads each out, channels fastest; a linear layer may follow.

    A projection of patches of one pixel is what Perceiver's code calls a 1 x 1 convolution. Patches of a
    waveform are its samples, those of a clip reach over space and time.

    Args:
        patch: tuple of int, size of a patch along the first axes after the batch.
        embed_dim: int, channels that a patch is projected to; `None` keeps its values as they are.

    Call arguments:
        x: float tensor `(B, *shape)` or `(B, *shape, C)`, of sizes that the patch divides.

    Returns:
        Tensor `(B, *grid, P)`, P = the values of a patch, or `(B, *grid, embed_dim)`.

    Raises:
        ValueError: if a size is not positive, or the patch does not divide the array.

    Reference:
        Perceiver IO, arXiv 2107.14795, appendices on optical flow and on multimodal autoencoding.
    """

    def __init__(self, patch, embed_dim=None, **kwargs):
        super().__init__("patch", patch, embed_dim, **kwargs)
        self.patch = tuple(patch)

    def cells(self, x):
        return cut_patches(x, self.patch)

    def num_values(self, x_shape):
        return math.prod(self.patch) * math.prod(x_shape[len(self.patch) + 1 :])

    def grid(self, x_shape):
        sizes = zip(x_shape[1:], self.patch, strict=False)
        return tuple(size if size is None else size // step for size, step in sizes)

    def get_config(self):
        return {**super().get_config(), "patch": list(self.patch)}
