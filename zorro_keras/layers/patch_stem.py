"""Patches of an array as elements: every value of a patch is kept."""

import math

import keras

from zorro_keras.layers.initializers import fan_in_kernel
from zorro_keras.layers.patches import cut_patches


@keras.saving.register_keras_serializable("zorro_keras")
class PatchStem(keras.layers.Layer):
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
        super().__init__(**kwargs)
        if not patch or min(*patch, 1 if embed_dim is None else embed_dim) < 1:
            raise ValueError(
                "`patch` must have positive sizes, `embed_dim` be positive or None. "
                f"Received: patch={patch}, embed_dim={embed_dim}"
            )
        self.patch = tuple(patch)
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
        patches = cut_patches(x, self.patch)
        return patches if self.projection is None else self.projection(patches)

    def _num_values(self, x_shape):
        return math.prod(self.patch) * math.prod(x_shape[len(self.patch) + 1 :])

    def compute_output_shape(self, x_shape):
        grid = (
            size if size is None else size // step
            for size, step in zip(x_shape[1:], self.patch, strict=False)
        )
        return (x_shape[0], *grid, self.embed_dim or self._num_values(x_shape))

    def get_config(self):
        return {**super().get_config(), "patch": list(self.patch), "embed_dim": self.embed_dim}
