"""From one input of a Perceiver to the elements that its latents read."""

import math

import keras
from keras import ops

from zorro_keras.layers.conv_stem import ConvStem, stages
from zorro_keras.layers.fourier_positions import FourierPositions
from zorro_keras.layers.initializers import fan_in_kernel
from zorro_keras.layers.patches import cut_patches
from zorro_keras.streams import Tokens

STEMS = ("patches", "pixels", "conv")
JOINS = ("concat", "add")


@keras.saving.register_keras_serializable("zorro_keras")
class InputAdapter(keras.layers.Layer):
    """Cuts a stream into elements, and tells each where it lies.

    The stream's patch is the step: `patches` keeps every value of a patch, `pixels` its first pixel, and
    `conv` looks at it by a `ConvStem`. Integer ids are looked up in a table.

    Args:
        stream: a description from `zorro_keras.streams`.
        embed_dim: int, channels that patches, pixels or ids are projected to, or those of the `conv` stem;
            `None` keeps the values as they are.
        stem: "patches", "pixels" or "conv".
        positions: layer of position codes with one row for each element, such as `FourierPositions` or
            `LearnedArray`; `None` for none.
        position_dim: int, channels that the codes are projected to; `None` for no projection.
        join: "concat" puts the codes after the values, "add" sums them.
        semantics: "deepmind" or "hugging_face": how a `conv` stem pads.

    Call arguments:
        x: tensor `(B, *stream.shape)`, or of other sizes along the cut axes: positions that are computed
            follow, of a learned table the first rows are taken.
        keep: bool tensor `(B, T)`, or `(B, 1)` for whole examples: what is False is read as zeros, so that
            it may hold anything, NaN too; `None` keeps everything.

    Returns:
        Tensor `(B, T, C)`.

    Raises:
        ValueError: if the patch does not divide the input, or a learned table has no row for an element.

    Reference:
        Perceiver IO, arXiv 2107.14795, appendices A to H: each domain's inputs.
    """

    def __init__(
        self,
        stream,
        embed_dim=None,
        stem="patches",
        positions=None,
        position_dim=None,
        join="concat",
        semantics="deepmind",
        **kwargs,
    ):
        super().__init__(**kwargs)
        for argument, value, allowed in (("stem", stem, STEMS), ("join", join, JOINS)):
            if value not in allowed:
                raise ValueError(f"`{argument}` must be one of {list(allowed)}. Received: {value!r}")
        if embed_dim is None and (stem == "conv" or isinstance(stream, Tokens)):
            raise ValueError("A `conv` stem and a stream of ids need `embed_dim`. Received: embed_dim=None")
        self.stream = _from_config(stream)
        self.embed_dim = embed_dim
        self.stem = stem
        self.positions = _from_config(positions)
        self.position_dim = position_dim
        self.join = join
        self.semantics = semantics

    def build(self, x_shape):
        self.embedding = self._embedding(x_shape)
        self.position_projection = None
        if self.positions is not None:
            if not self.positions.built:
                self.positions.build((None,))
            if self.position_dim is not None:
                self.position_projection = self._dense(self.position_dim, "position_projection")
                self.position_projection.build((None, None, self.positions.dim))

    def call(self, x, keep=None, training=None):
        values, grid = self._values(x, keep, training)
        return self._joined(values, grid)

    def values(self, x, keep=None, training=None):
        """Returns the elements `(B, T, C)` without their positions."""
        return self._values(x, keep, training)[0]

    def _values(self, x, keep, training):
        """Returns the elements without positions, and the grid that they cover."""
        self._check(x)
        if isinstance(self.stream, Tokens):
            ids = ops.cast(x, "int32")
            ids = ids if keep is None else ops.where(keep, ids, ops.zeros_like(ids))
            return self.embedding(ids), x.shape[1:]
        x = ops.cast(x, self.compute_dtype)
        patch = self.stream.patch
        if self.stem == "conv":
            x = _hide(x, keep) if keep is not None and keep.shape[1] == 1 else x
            x = self.embedding(x[:, :: patch[0]] if len(patch) == 3 else x, training=training)
            grid, patches = x.shape[1:-1], ops.reshape(x, (-1, math.prod(x.shape[1:-1]), x.shape[-1]))
            return _hide(patches, keep), grid
        grid = tuple(size // step for size, step in zip(x.shape[1:], patch, strict=False))
        if self.stem == "pixels":
            x = x[(slice(None), *(slice(None, None, step) for step in patch))]
            patch = (1,) * len(patch)
        patches = _hide(cut_patches(x, patch), keep)
        return (patches if self.embedding is None else self.embedding(patches)), grid

    def _joined(self, values, grid):
        if self.positions is None:
            return values
        code = self._code(values, tuple(grid))
        if self.position_projection is not None:
            code = self.position_projection(code)
        return values + code if self.join == "add" else ops.concatenate([values, code], axis=-1)

    def _code(self, like, grid):
        if isinstance(self.positions, FourierPositions):
            return self.positions(like, grid=grid)
        if None in grid:
            return self.positions(like, rows=ops.arange(ops.shape(like)[1]))
        count = math.prod(grid)
        if count == self.positions.length:
            return self.positions(like)
        if len(grid) > 1 or count > self.positions.length:
            raise ValueError(
                f"`positions` has {self.positions.length} learned codes: give the input as many elements, "
                f"or take FourierPositions. Received: a grid of {grid}"
            )
        return self.positions(like, rows=ops.arange(count))

    def _check(self, x):
        expected, rank = self.stream.shape, len(self.stream.patch)
        # Convolutions take any size: they pad.
        steps = () if self.stem == "conv" else zip(x.shape[1:], self.stream.patch, strict=False)
        if (
            len(x.shape) != len(expected) + 1
            or tuple(x.shape[rank + 1 :]) != tuple(expected[rank:])
            or any(size is not None and size % step for size, step in steps)
        ):
            raise ValueError(
                f"An input like {self.stream} must have the shape (batch, {', '.join(map(str, expected))}), "
                f"or other multiples of its patch {self.stream.patch}. Received: {tuple(x.shape)}"
            )

    def _embedding(self, x_shape):
        if isinstance(self.stream, Tokens):
            embedding = keras.layers.Embedding(
                self.stream.vocabulary_size,
                self.embed_dim,
                embeddings_initializer=keras.initializers.TruncatedNormal(1.0),
                dtype=self.dtype_policy,
                name="embedding",
            )
            embedding.build((None, None))
            return embedding
        patch, channels = self.stream.patch, math.prod(self.stream.shape[len(self.stream.patch) :])
        if self.stem == "conv":
            embedding = ConvStem(
                self.embed_dim, stages(patch), self.semantics, dtype=self.dtype_policy, name="stem"
            )
            embedding.build(x_shape)
            return embedding
        if self.embed_dim is None:
            return None
        embedding = self._dense(self.embed_dim, "embedding")
        embedding.build((None, None, channels * (1 if self.stem == "pixels" else math.prod(patch))))
        return embedding

    def _dense(self, units, name):
        return keras.layers.Dense(
            units, kernel_initializer=fan_in_kernel(), dtype=self.dtype_policy, name=name
        )

    def compute_output_spec(self, x, keep=None, training=None):
        if self.stem == "conv" and not isinstance(self.stream, Tokens):
            frames = tuple(-(-size // self.stream.patch[0]) for size in x.shape[1:-3])
            grid = (*frames, *self.embedding.compute_output_shape(x.shape)[-3:-1])
        else:
            grid = tuple(size // step for size, step in zip(x.shape[1:], self.stream.patch, strict=False))
        return keras.KerasTensor((x.shape[0], math.prod(grid), self.dim), dtype=self.compute_dtype)

    @property
    def dim(self):
        """Channels of an element, positions included."""
        patch = self.stream.patch if self.stem == "patches" else ()
        values = self.embed_dim or math.prod(patch) * math.prod(self.stream.shape[len(self.stream.patch) :])
        if self.positions is None or self.join == "add":
            return values
        return values + (self.position_dim or self.positions.dim)

    def get_config(self):
        return {
            **super().get_config(),
            "stream": keras.saving.serialize_keras_object(self.stream),
            "embed_dim": self.embed_dim,
            "stem": self.stem,
            "positions": keras.saving.serialize_keras_object(self.positions),
            "position_dim": self.position_dim,
            "join": self.join,
            "semantics": self.semantics,
        }


def _from_config(part):
    return keras.saving.deserialize_keras_object(part) if isinstance(part, dict) else part


def _hide(x, keep):
    """Returns `x` `(B, T, ...)` with zeros where `keep` `(B, T)` or `(B, 1)` is False."""
    if keep is None:
        return x
    keep = ops.reshape(keep, (-1, keep.shape[1], *[1] * (len(x.shape) - 2)))
    return ops.where(keep, x, ops.zeros_like(x))
