"""Fixed Fourier features of positions on a grid of any rank."""

import math

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable("zorro_keras")
class FourierPositions(keras.layers.Layer):
    """Fourier features of each point of a grid: position codes for inputs, or fixed output queries.

    Channels: the positions in [-1, 1] themselves, one an axis; the sines, all bands of the first axis, then
    of the second, and so on; the cosines likewise. They belong to positions, not to a grid: a model trained
    on one resolution can be asked on any other.

    Args:
        grid: tuple of int, points along each axis, the last one varying fastest.
        num_bands: int, frequencies an axis, evenly spaced from 1 to half the maximal resolution.
        max_resolution: tuple of int, finest grid to be told apart, an axis; `None` for `grid`.
        keep_positions: bool, whether the positions themselves come first.
        sine_only: bool, whether there are no cosines.
        endpoint: bool, whether the last point of an axis lies at 1, as in `numpy.linspace`. Point i of n lies
            at -1 + 2 i / (n - 1), or at -1 + 2 i / n without: so the published autoencoder was trained.

    Call arguments:
        like: tensor `(B, ...)` of which only the batch size is used.
        rows: int tensor `(R,)` of flat indices into the grid, to compute those points only; `None` for all.
        grid: tuple of int, another grid of the same rank to cover instead; `None` for the layer's own.

    Returns:
        Tensor `(B, R, dim)`, R = the product of the grid without `rows`.

    Reference:
        Perceiver, arXiv 2103.03206, section 3.2; Perceiver IO, arXiv 2107.14795, appendix E.
    """

    def __init__(
        self,
        grid,
        num_bands,
        max_resolution=None,
        keep_positions=True,
        sine_only=False,
        endpoint=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.grid = tuple(grid)
        self.num_bands = num_bands
        self.max_resolution = tuple(max_resolution or self.grid)
        self.keep_positions = keep_positions
        self.sine_only = sine_only
        self.endpoint = endpoint
        if len(self.max_resolution) != len(self.grid) or min(*self.grid, num_bands) < 1:
            raise ValueError(
                "`grid` and `max_resolution` must have one positive size for each axis, `num_bands` must be "
                f"positive. Received: grid={self.grid}, max_resolution={self.max_resolution}, "
                f"num_bands={num_bands}"
            )

    @property
    def length(self):
        """Number of points of the grid."""
        return math.prod(self.grid)

    @property
    def dim(self):
        """Number of channels of a code."""
        waves = 1 if self.sine_only else 2
        return len(self.grid) * (self.num_bands * waves + self.keep_positions)

    def build(self, like_shape=None):
        pass

    def call(self, like, rows=None, grid=None):
        if rows is None:
            code = ops.convert_to_tensor(self.table(grid or self.grid), self.compute_dtype)
        else:
            code = ops.cast(self.at(self._row_positions(rows, grid or self.grid)), self.compute_dtype)
        return ops.broadcast_to(code[None], (ops.shape(like)[0], *code.shape))

    def table(self, grid):
        """Returns the codes of a whole grid, numpy `(prod(grid), dim)`, float32."""
        axes = [np.linspace(-1, 1, size, endpoint=self.endpoint) for size in grid]
        positions = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
        return self._code(np, positions, np.concatenate).astype("float32")

    def at(self, positions):
        """Returns the codes `(..., dim)`, float32, of given positions `(..., number of axes)` in [-1, 1].

        Raises:
            ValueError: if the last axis of the positions has not one number for each axis of the grid.
        """
        positions = ops.convert_to_tensor(positions, "float32")
        if positions.shape[-1] != len(self.grid):
            raise ValueError(
                f"`positions` must end with one number for each of {len(self.grid)} axes. "
                f"Received: shape={tuple(positions.shape)}"
            )
        return self._code(ops, positions, ops.concatenate)

    def _code(self, xp, positions, concatenate):
        frequencies = math.pi * np.stack(
            [np.linspace(1, resolution / 2, self.num_bands) for resolution in self.max_resolution]
        )
        if xp is ops:
            frequencies = ops.convert_to_tensor(frequencies, "float32")
        phases = positions[..., None] * frequencies  # ... axes bands
        phases = xp.reshape(phases, (*phases.shape[:-2], len(self.grid) * self.num_bands))
        parts = [positions] if self.keep_positions else []
        parts.append(xp.sin(phases))
        if not self.sine_only:
            parts.append(xp.cos(phases))
        return concatenate(parts, axis=-1)

    def _row_positions(self, rows, grid):
        """Returns the positions `(R, number of axes)`, float32, of flat row-major indices into a grid."""
        rows = ops.cast(ops.convert_to_tensor(rows), "int32")
        axes = []
        for size in reversed(grid):
            steps = max(size - 1, 1) if self.endpoint else size
            axes.append(-1 + 2 * ops.cast(rows % size, "float32") / steps)
            rows = rows // size
        return ops.stack(axes[::-1], axis=-1)

    def compute_output_spec(self, like, rows=None, grid=None):
        length = math.prod(grid or self.grid) if rows is None else rows.shape[0]
        return keras.KerasTensor((like.shape[0], length, self.dim), dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "grid": list(self.grid),
            "num_bands": self.num_bands,
            "max_resolution": list(self.max_resolution),
            "keep_positions": self.keep_positions,
            "sine_only": self.sine_only,
            "endpoint": self.endpoint,
        }
