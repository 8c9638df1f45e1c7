"""From a stream's array to its tokens."""

import math

import keras
from keras import ops

from zorro_keras.layers.initializers import dense_kernel
from zorro_keras.layers.learned_positions import LearnedPositions
from zorro_keras.layers.patches import cut_patches, flatten_grid
from zorro_keras.layers.token_embedding import TokenEmbedding
from zorro_keras.streams import Tokens


@keras.saving.register_keras_serializable("zorro_keras")
class Tokenizer(keras.layers.Layer):
    """Cuts a stream into patches, projects each to one token and adds its learned position.

    Integer ids are looked up instead. The projection of patches equals a convolution whose kernel and stride
    are the patch, on any number of axes.

    Args:
        stream: a description from `zorro_keras.streams`.
        hidden_dim: int, D, channels of a token.
        kernel_initializer: initializer of the projection; `None` for Glorot uniform.
        use_positions: bool, whether positions are added.

    Call arguments:
        x: tensor `(B, *stream.shape)`, floats, or ids for a `Tokens` stream.
        keep: bool tensor `(B, T)`, or `(B, 1)` for whole examples: what is False is read as zeros, so that a
            missing or padded part may hold anything, NaN too; `None` keeps everything.

    Returns:
        Tensor `(B, T, D)`, T = `stream.num_tokens`, in the order of the axes, last axis fastest.

    Reference:
        Zorro, arXiv 2301.09595, Figure 2: patches of 16 x 16 for audio and 1 x 16 x 16 for video.
    """

    def __init__(self, stream, hidden_dim, kernel_initializer=None, use_positions=True, **kwargs):
        super().__init__(autocast=False, **kwargs)  # `call` casts what may be cast: not ids in float arrays
        if isinstance(stream, dict):
            stream = keras.saving.deserialize_keras_object(stream)
        self.stream = stream
        self.hidden_dim = hidden_dim
        self.kernel_initializer = keras.initializers.get(kernel_initializer or dense_kernel())
        self.use_positions = use_positions

    def build(self, x_shape):
        shape = tuple(x_shape[1:])
        if shape != tuple(self.stream.shape):
            raise ValueError(f"Expected an array of shape {(None, *self.stream.shape)}. Received: {x_shape}")
        policy = self.dtype_policy
        if isinstance(self.stream, Tokens):
            self.embedding = TokenEmbedding(
                self.stream.vocabulary_size, self.hidden_dim, dtype=policy, name="embedding"
            )
            self.embedding.build((None, self.stream.num_tokens))
        else:
            self.embedding = keras.layers.Dense(
                self.hidden_dim, kernel_initializer=self.kernel_initializer, dtype=policy, name="embedding"
            )
            self.embedding.build((None, self.stream.num_tokens, self._patch_size()))
        self.positions = None
        if self.use_positions:
            self.positions = LearnedPositions(self.stream.grid, dtype=policy, name="positions")
            self.positions.build((None, self.stream.num_tokens, self.hidden_dim))

    def call(self, x, keep=None):
        patches = x
        if not isinstance(self.stream, Tokens):
            patches = flatten_grid(cut_patches(ops.cast(x, self.compute_dtype), self.stream.patch))
        if keep is not None:
            keep = keep if len(patches.shape) == 2 else keep[..., None]
            patches = ops.where(keep, patches, ops.zeros_like(patches))
        tokens = self.embedding(patches)
        return tokens if self.positions is None else self.positions(tokens)

    def _patch_size(self):
        return math.prod(self.stream.shape) // self.stream.num_tokens

    def compute_output_spec(self, x, keep=None):
        return keras.KerasTensor(
            (x.shape[0], self.stream.num_tokens, self.hidden_dim), dtype=self.compute_dtype
        )

    def get_config(self):
        return {
            **super().get_config(),
            "stream": keras.saving.serialize_keras_object(self.stream),
            "hidden_dim": self.hidden_dim,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "use_positions": self.use_positions,
        }
