"""Fixed Fourier features of positions on a grid of any rank."""

import functools
import math

import keras
import numpy as np
from keras import ops

from zorro_keras.layers.learned_array import for_each_example


@functools.lru_cache(maxsize=256)
def axis_codes(size, num_bands, resolution, endpoint):
    """Returns one axis of a grid: its positions `(size, 1)`, sines and cosines `(size, num_bands)`.

    Numpy float32, computed in float64: the phases of long axes have few exact digits in float32.
    """
    positions = np.linspace(-1, 1, size, endpoint=endpoint)[:, None]
    phases = math.pi * positions * np.linspace(1, resolution / 2, num_bands)
    return tuple(code.astype("float32") for code in (positions, np.sin(phases), np.cos(phases)))


@keras.saving.register_keras_serializable("zorro_keras")
class FourierPositions(keras.layers.Layer):
    """Fourier features of each point of a grid: position codes for inputs, or fixed output queries.

    Channels: the positions in [-1, 1] themselves, one an axis; the sines, all bands of the first axis, then
    of the second, and so on; the cosines likewise. They belong to positions, not to a grid: a model trained
    on one resolution can be asked on any other.

    A channel depends on one axis only, so a grid is put together from the codes of its axes: no large table
    is computed again, nor kept in a compiled graph.

    Args:
        grid: tuple of int, points along each axis, the last one varying fastest; `None` where each call says
            where to look, as `InputAdapter` does.
        num_bands: int, frequencies an axis, evenly spaced from 1 to half the maximal resolution.
        max_resolution: tuple of int, finest grid to be told apart, an axis; `None` for `grid`.
        keep_positions: bool, whether the positions themselves come first.
        sine_only: bool, whether there are no cosines.
        endpoint: bool, whether the last point of an axis lies at 1, as in `numpy.linspace`. Point i of n lies
            at -1 + 2 i / (n - 1), or at -1 + 2 i / n without: so the published autoencoder was trained.

    Call arguments:
        like: tensor `(B, ...)` of which only the batch size is used.
        rows: int tensor `(R,)` of flat indices into the grid, to compute those points only, or `(B, R)`, for
            each example its own; `None` for all.
        grid: tuple of int, another grid of the same rank to cover instead; `None` for the layer's own. On
            TensorFlow sizes may be int tensors.

    Returns:
        Tensor `(B, R, dim)`, R = the product of the grid without `rows`.

    Raises:
        ValueError: for sizes that are not positive or do not match, or without any grid.

    Reference:
        Perceiver, arXiv 2103.03206, section 3.2; Perceiver IO, arXiv 2107.14795, appendix E.
    """

    def __init__(
        self,
        grid=None,
        num_bands=64,
        max_resolution=None,
        keep_positions=True,
        sine_only=False,
        endpoint=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not (grid or max_resolution):
            raise ValueError("`grid` or `max_resolution` is needed. Received: neither")
        self.grid = tuple(grid) if grid else None
        self.num_bands = num_bands
        self.max_resolution = tuple(max_resolution or grid)
        self.keep_positions = keep_positions
        self.sine_only = sine_only
        self.endpoint = endpoint
        sizes = (*(self.grid or ()), *self.max_resolution, num_bands)
        if len(self.max_resolution) != len(self.grid or self.max_resolution) or min(sizes) < 1:
            raise ValueError(
                "`grid` and `max_resolution` must have one positive size for each axis, `num_bands` must be "
                f"positive. Received: grid={self.grid}, max_resolution={self.max_resolution}, "
                f"num_bands={num_bands}"
            )

    @property
    def num_axes(self):
        """Axes of the positions."""
        return len(self.max_resolution)

    @property
    def length(self):
        """Number of points of the grid, `None` without one."""
        return None if self.grid is None else math.prod(self.grid)

    @property
    def dim(self):
        """Number of channels of a code."""
        waves = 1 if self.sine_only else 2
        return len(self.max_resolution) * (self.num_bands * waves + self.keep_positions)

    def build(self, like_shape=None):
        pass

    def call(self, like, rows=None, grid=None):
        grid = self._grid(grid)
        axes = [self._axis(axis, size) for axis, size in enumerate(grid)]
        if rows is None:
            code = self._joined(ops, axes, grid)
        else:
            points = _unravelled(rows, grid)
            axes = [
                [ops.take(code, points[axis], axis=0) for code in codes] for axis, codes in enumerate(axes)
            ]
            code = ops.concatenate([code for kind in zip(*axes, strict=True) for code in kind], axis=-1)
        return for_each_example(code, like)

    def table(self, grid=None):
        """Returns the codes of a whole grid, numpy `(prod(grid), dim)`, float32."""
        grid = self._grid(grid)
        return self._joined(np, [self._axis_codes(axis, size) for axis, size in enumerate(grid)], grid)

    def at(self, positions):
        """Returns the codes `(..., dim)` of given positions `(..., number of axes)` in [-1, 1].

        They are computed in float32 and returned in the layer's compute dtype.

        Raises:
            ValueError: if the last axis of the positions has not one number for each axis of the grid.
        """
        positions, rank = ops.convert_to_tensor(positions, "float32"), len(self.max_resolution)
        if positions.shape[-1] != rank:
            raise ValueError(
                f"`positions` must end with one number for each of {rank} axes. "
                f"Received: shape={tuple(positions.shape)}"
            )
        axes = [self._computed(axis, positions[..., axis, None]) for axis in range(rank)]
        code = ops.concatenate([code for kind in zip(*axes, strict=True) for code in kind], axis=-1)
        return ops.cast(code, self.compute_dtype)

    def _grid(self, grid):
        grid = self.grid if grid is None else tuple(grid)
        if grid is None or len(grid) != len(self.max_resolution):
            raise ValueError(
                f"`grid` must have {len(self.max_resolution)} axes, as `max_resolution`. Received: {grid}"
            )
        return grid

    def _axis(self, axis, size):
        """Returns the codes `(size, ...)` of an axis in the compute dtype, one array for each kind."""
        if isinstance(size, int):
            codes = self._axis_codes(axis, size)
        else:  # a size that TensorFlow knows only when it runs
            steps = ops.maximum(size - 1, 1) if self.endpoint else size
            points = ops.cast(ops.arange(size), "float32") / ops.cast(steps, "float32")
            codes = self._computed(axis, 2 * points[:, None] - 1)
        return [ops.cast(ops.convert_to_tensor(code), self.compute_dtype) for code in codes]

    def _axis_codes(self, axis, size):
        codes = axis_codes(size, self.num_bands, self.max_resolution[axis], self.endpoint)
        return self._kinds(*codes)

    def _computed(self, axis, positions):
        """Returns the codes of positions `(..., 1)` of an axis, float32, one array for each kind."""
        bands = math.pi * np.linspace(1, self.max_resolution[axis] / 2, self.num_bands)
        phases = positions * ops.convert_to_tensor(bands, "float32")
        return self._kinds(positions, ops.sin(phases), ops.cos(phases))

    def _kinds(self, positions, sines, cosines):
        return [
            *([positions] if self.keep_positions else []),
            sines,
            *([] if self.sine_only else [cosines]),
        ]

    def _joined(self, xp, axes, grid):
        """Returns the codes `(prod(grid), dim)` of a grid whose axes have these codes."""
        rank, parts = len(grid), []
        for kind in zip(*axes, strict=True):
            for axis, code in enumerate(kind):
                shape = [1] * rank
                shape[axis] = grid[axis]
                code = xp.reshape(code, (*shape, code.shape[-1]))
                parts.append(xp.broadcast_to(code, (*grid, code.shape[-1])))
        return xp.reshape(xp.concatenate(parts, axis=-1), (-1, self.dim))

    def compute_output_spec(self, like, rows=None, grid=None):
        grid = self._grid(grid)
        known = all(isinstance(size, int) for size in grid)
        length = rows.shape[-1] if rows is not None else math.prod(grid) if known else None
        return keras.KerasTensor((like.shape[0], length, self.dim), dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "grid": None if self.grid is None else list(self.grid),
            "num_bands": self.num_bands,
            "max_resolution": list(self.max_resolution),
            "keep_positions": self.keep_positions,
            "sine_only": self.sine_only,
            "endpoint": self.endpoint,
        }


def _unravelled(rows, grid):
    """Returns the index along each axis, of the shape of `rows`, of flat row-major indices into a grid."""
    rows, points = ops.cast(ops.convert_to_tensor(rows), "int32"), []
    for size in reversed(grid):
        points.append(rows % size)
        rows = rows // size
    return points[::-1]
