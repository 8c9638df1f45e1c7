"""From one input of a Perceiver to the elements that its latents read."""

import math

import keras
from keras import ops

from zorro_keras.layers.entity_features import EntityFeatures
from zorro_keras.layers.fourier_positions import FourierPositions
from zorro_keras.layers.initializers import fan_in_kernel, learned_array
from zorro_keras.layers.patch_stem import PatchStem
from zorro_keras.layers.patches import flatten_grid
from zorro_keras.layers.token_embedding import TokenEmbedding
from zorro_keras.streams import Entities, Tokens

JOINS = ("concat", "add")


@keras.saving.register_keras_serializable("zorro_keras")
class InputAdapter(keras.layers.Layer):
    """Makes elements of a stream, and tells each where it lies.

    Args:
        stream: a description from `zorro_keras.streams`.
        embed_dim: int, channels of the elements of the stream's own stem: a table of embeddings for ids,
            `EntityFeatures` for entities, a `PatchStem` for anything else, where `None` keeps the values of a
            patch as they are.
        stem: layer from `(B, *stream.shape)` to `(B, *grid, C)` instead: `PatchStem`, `PixelStem`,
            `ConvStem`, `OneHot`, or any other, such as `keras.layers.Conv2D`; for ids `TokenEmbedding` rather
            than Keras' `Embedding`, which trains otherwise on TensorFlow. Its grid must be the stream's,
            up to a row that convolutions without padding lose; `None` for the stream's own.
        positions: layer of position codes, such as `FourierPositions`, or `LearnedArray` with one row for
            each element; `None` for none. Fourier positions may have fewer axes than the grid: the axes in
            front must then be of one element.
        position_dim: int, channels that the codes are projected to; `None` for no projection.
        join: "concat" puts the codes after the values, "add" sums them.

    Call arguments:
        x: tensor `(B, *stream.shape)`, or of other sizes along the cut axes: positions that are computed
            follow, of a learned table the first rows are taken. Entities may be fewer than the stream's
            length, never more.
        keep: bool tensor `(B, T)`, or `(B, 1)` for whole examples: what is False is read as zeros, so that
            it may hold anything, NaN too; `None` keeps everything.
        coordinates: float tensor `(B, T, axes)` in [-1, 1], where the elements lie, for `FourierPositions`
            of so many axes; `None` for the grid.

    Returns:
        Tensor `(B, T, C)`.

    Raises:
        ValueError: for arguments that contradict each other, an input of another shape, or a learned table
            without a row for an element.

    Reference:
        Perceiver IO, arXiv 2107.14795, appendices A to H: each domain's inputs.
    """

    def __init__(
        self,
        stream,
        embed_dim=None,
        stem=None,
        positions=None,
        position_dim=None,
        join="concat",
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)  # `call` casts what may be cast: not ids in float arrays
        if join not in JOINS:
            raise ValueError(f"`join` must be one of {list(JOINS)}. Received: {join!r}")
        if stem is not None and embed_dim is not None:
            raise ValueError(
                "`embed_dim` is of the stream's own stem: give it to `stem` instead. "
                f"Received: embed_dim={embed_dim}, stem={stem}"
            )
        self.stream = _from_config(stream)
        self.embed_dim = embed_dim
        self.own_stem = stem is None
        self.stem = self._stream_stem() if stem is None else _from_config(stem)
        self.positions = _from_config(positions)
        self.position_dim = position_dim
        self.join = join
        self._check_grid()
        self._check_positions()

    def _stream_stem(self):
        """Returns the stem that suits the stream."""
        if not isinstance(self.stream, (Tokens, Entities)):
            return PatchStem(self.stream.patch, self.embed_dim, dtype=self.dtype_policy, name="stem")
        if self.embed_dim is None or self.embed_dim < 1:
            raise ValueError(
                "A stream of ids or entities needs a positive `embed_dim`, or a `stem`, such as "
                f"`OneHot(...)`. Received: embed_dim={self.embed_dim}"
            )
        if isinstance(self.stream, Entities):
            features = self.stream.features
            return EntityFeatures(features, self.embed_dim, dtype=self.dtype_policy, name="stem")
        return TokenEmbedding(
            self.stream.vocabulary_size,
            self.embed_dim,
            embeddings_initializer=learned_array(stddev=1.0),
            dtype=self.dtype_policy,
            name="stem",
        )

    def _check_grid(self):
        _, *grid, channels = self.stem.compute_output_shape((None, *self.stream.shape))
        near = len(grid) == len(self.stream.grid) and all(
            abs(size - wanted) <= 1 for size, wanted in zip(grid, self.stream.grid, strict=True)
        )
        if not near:
            raise ValueError(
                f"`stem` must give the grid {self.stream.grid} of {self.stream}, channels last: set the "
                f"stream's patch to the steps of the stem. Received: {(*grid, channels)}"
            )
        self.grid, self.value_dim = tuple(grid), channels

    def _check_positions(self):
        if self.position_dim is not None and (self.positions is None or self.position_dim < 1):
            raise ValueError(
                "`position_dim` must be positive and needs `positions`. "
                f"Received: position_dim={self.position_dim}, positions={self.positions}"
            )
        if self.join == "add" and self.positions is not None and self._code_dim() != self.value_dim:
            raise ValueError(
                f"`join='add'` needs as many channels of positions as of values, {self.value_dim}; "
                f"`position_dim` projects them. Received: {self._code_dim()}"
            )
        grid, length = (getattr(self.positions, size, None) for size in ("grid", "length"))
        spare = 0 if length is None else length - self.num_elements
        if (grid or self.grid) != self.grid or spare < 0 or (spare and len(self.grid) > 1):
            raise ValueError(
                f"`positions` must be those of the grid {self.grid}, one for each element. "
                f"Received: grid={grid}, length={length}"
            )
        # Of more axes than the grid has, they are for elements that come with coordinates of their own.
        if isinstance(self.positions, FourierPositions) and self.positions.num_axes <= len(self.grid):
            self._last_axes(self.grid)

    def _last_axes(self, grid):
        """Returns the sizes of as many last axes as the positions have; the others are of one element."""
        first = len(grid) - self.positions.num_axes
        if first < 0 or any(isinstance(size, int) and size != 1 for size in grid[:first]):
            raise ValueError(
                f"`positions` of {self.positions.num_axes} axes tell the elements of a grid apart "
                f"whose axes in front have one element. Received: a grid of {tuple(grid)}"
            )
        return tuple(grid[first:])

    def build(self, x_shape):
        if not self.stem.built:
            self.stem.build(x_shape)
        self.position_projection = None
        if self.positions is None:
            return
        if not self.positions.built:
            self.positions.build((None,))
        if self.position_dim is not None:
            self.position_projection = keras.layers.Dense(
                self.position_dim,
                kernel_initializer=fan_in_kernel(),
                dtype=self.dtype_policy,
                name="position_projection",
            )
            self.position_projection.build((None, None, self.positions.dim))

    def call(self, x, keep=None, coordinates=None, training=None):
        # A call inside this one takes over `training`: only some stems know the word.
        self._check_input(x)
        if not isinstance(self.stream, (Tokens, Entities)):
            x = ops.cast(x, self.compute_dtype)
        values = self.stem(x if keep is None else self._shown(x, keep))
        values = ops.cast(values, self.compute_dtype)  # a stem may have a dtype of its own
        if self.positions is None:
            return flatten_grid(values)
        code = self._code(values, coordinates)
        if self.position_projection is not None:
            code = self.position_projection(code)
        values, code = flatten_grid(values), ops.cast(code, values.dtype)
        return values + code if self.join == "add" else ops.concatenate([values, code], axis=-1)

    def _check_input(self, x):
        expected, rank = self.stream.shape, len(self.grid)
        known = len(x.shape) == 3 and isinstance(x.shape[1], int)  # an export traces a size of no number
        if isinstance(self.stream, Entities) and known and x.shape[1] > expected[0]:
            raise ValueError(
                f"Entities must have the shape (batch, at most {expected[0]}, {expected[1]}). "
                f"Received: {tuple(x.shape)}"
            )
        if len(x.shape) != len(expected) + 1 or tuple(x.shape[rank + 1 :]) != tuple(expected[rank:]):
            raise ValueError(
                f"An input like {self.stream} must have the shape (batch, {', '.join(map(str, expected))}), "
                f"or other sizes along its first {rank} axes. Received: {tuple(x.shape)}"
            )

    def _shown(self, x, keep):
        """Returns the input with zeros where `keep` hides an element: no stem sees what is hidden."""
        rank = len(self.grid)
        whole = (1,) * (len(x.shape) - 1)
        if keep.shape[1] == 1:
            return ops.where(ops.reshape(keep, (-1, *whole)), x, ops.zeros_like(x))
        sizes, cells = x.shape[1 : rank + 1], self.stem.compute_output_shape(x.shape)[1:-1]
        patch = self.stream.patch
        if any(None not in (s, c) and s != c * p for s, c, p in zip(sizes, cells, patch, strict=True)):
            raise ValueError(
                f"`keep` can hide elements only where each is a patch {patch} of the input. "
                f"Received: an input {tuple(x.shape)} of {tuple(cells)} elements"
            )
        grid = [size // step for size, step in zip(ops.shape(x)[1:], patch, strict=False)]
        keep = ops.reshape(keep, (-1, *grid))
        for axis, step in enumerate(patch, start=1):
            keep = keep if step == 1 else ops.repeat(keep, step, axis=axis)
        keep = ops.reshape(keep, (*ops.shape(keep), *whole[rank:]))
        return ops.where(keep, x, ops.zeros_like(x))

    def _code(self, values, coordinates):
        """Returns the position codes `(B, T, ...)` of values `(B, *grid, C)`."""
        if coordinates is not None:
            if not isinstance(self.positions, FourierPositions):
                raise ValueError(f"`coordinates` need FourierPositions. Received: {self.positions}")
            return self.positions.at(coordinates)
        grid = tuple(ops.shape(values)[1:-1])
        if isinstance(self.positions, FourierPositions):
            # Not by `__call__`, which takes no sizes of which some are known and some are not.
            return self.positions.call(values, grid=self._last_axes(grid))
        sizes, length = tuple(values.shape[1:-1]), self.positions.length
        if sizes == self.grid and length == self.num_elements:
            return self.positions(values)
        if len(sizes) > 1 or (sizes[0] or 0) > length:
            raise ValueError(
                f"`positions` has {length} learned codes for the grid {self.grid}: give an input of that "
                f"grid, or take FourierPositions. Received: a grid of {sizes}"
            )
        return self.positions(values, rows=ops.arange(grid[0]))

    def compute_output_spec(self, x, keep=None, coordinates=None, training=None):
        grid = self.stem.compute_output_shape(x.shape)[1:-1]
        length = None if None in grid else math.prod(grid)
        return keras.KerasTensor((x.shape[0], length, self.dim), dtype=self.compute_dtype)

    def grid_of(self, x):
        """Returns the elements of an input along each axis: int, or what a backend calls a size it traces."""
        return tuple(self.stem.compute_output_shape(tuple(ops.shape(x)))[1:-1])

    def known_grid(self, x):
        """Returns the elements of an input along each axis: int, or `None` where it is not known yet."""
        self._check_input(x)
        return tuple(self.stem.compute_output_shape(tuple(x.shape))[1:-1])

    @property
    def num_elements(self):
        """Elements of an input of the stream's own sizes."""
        return math.prod(self.grid)

    @property
    def dim(self):
        """Channels of an element, positions included."""
        if self.positions is None or self.join == "add":
            return self.value_dim
        return self.value_dim + self._code_dim()

    def _code_dim(self):
        return self.position_dim or self.positions.dim

    def get_config(self):
        return {
            **super().get_config(),
            "stream": keras.saving.serialize_keras_object(self.stream),
            "embed_dim": self.embed_dim,
            "stem": None if self.own_stem else keras.saving.serialize_keras_object(self.stem),
            "positions": keras.saving.serialize_keras_object(self.positions),
            "position_dim": self.position_dim,
            "join": self.join,
        }


def _from_config(part):
    return keras.saving.deserialize_keras_object(part) if isinstance(part, dict) else part
