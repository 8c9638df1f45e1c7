"""Learned absolute positions on a grid of any rank, and their interpolation to another grid."""

import functools
import math

import keras
import numpy as np
from keras import ops

from zorro_keras.layers.initializers import learned_array


@keras.saving.register_keras_serializable("zorro_keras")
class LearnedPositions(keras.layers.Layer):
    """Adds a learned vector to each token, by its place on the stream's grid.

    Args:
        grid: tuple of int, tokens along each axis, the last one varying fastest.
        stddev: float, of the truncated normal that they start from.

    Call arguments:
        tokens: float tensor `(B, T, D)`, T the product of the grid.

    Returns:
        Tensor `(B, T, D)`.

    Reference:
        ViT, arXiv 2010.11929, section 3.1; resizing as in section 3.2, here for any number of axes.
    """

    def __init__(self, grid, stddev=0.02, **kwargs):
        super().__init__(**kwargs)
        self.grid = tuple(grid)
        self.stddev = stddev

    def build(self, tokens_shape):
        if tokens_shape[1] != math.prod(self.grid):
            raise ValueError(
                f"Expected {math.prod(self.grid)} tokens, one for each place of the grid {self.grid}. "
                f"Received: tokens.shape={tuple(tokens_shape)}"
            )
        self.positions = self.add_weight(
            name="positions",
            shape=(math.prod(self.grid), tokens_shape[-1]),
            initializer=learned_array(self.stddev),
        )

    def call(self, tokens):
        return tokens + ops.cast(self.positions, tokens.dtype)

    def compute_output_shape(self, tokens_shape):
        return tokens_shape

    def assign_resized(self, source):
        """Takes over the positions of another `LearnedPositions`, interpolated linearly to this grid."""
        if len(source.grid) != len(self.grid):
            raise ValueError(
                "Positions can be resized between grids of one rank. "
                f"Received: source.grid={source.grid}, grid={self.grid}"
            )
        self.positions.assign(
            resize_positions(ops.convert_to_numpy(source.positions), source.grid, self.grid)
        )

    def get_config(self):
        return {**super().get_config(), "grid": list(self.grid), "stddev": self.stddev}


def resize_positions(positions, old_grid, new_grid):
    """Returns positions `(prod(old_grid), D)` interpolated to `(prod(new_grid), D)`, one axis at a time."""
    array = np.asarray(positions).reshape(*old_grid, -1)
    for axis, (old, new) in enumerate(zip(old_grid, new_grid, strict=True)):
        array = np.moveaxis(np.tensordot(_interpolation(old, new), array, axes=(1, axis)), 0, axis)
    return array.reshape(math.prod(new_grid), -1).astype(positions.dtype)


@functools.cache
def _interpolation(old, new):
    """Returns the matrix `(new, old)` of linear interpolation between the centres of equal cells."""
    centres = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    return np.stack([np.interp(centres, np.arange(old), row) for row in np.eye(old)], axis=1)
