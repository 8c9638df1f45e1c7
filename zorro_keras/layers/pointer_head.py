"""A head that points: a score for each token against one query."""

import keras
from keras import ops

HIDDEN_SCORE = -1e9  # a probability of exactly 0 by softmax and by sigmoid, and a loss that is finite
HIDDEN_SCORE_FLOAT16 = -3e4  # the same where numbers end at 65,504


@keras.saving.register_keras_serializable("zorro_keras")
class PointerHead(keras.layers.Layer):
    """Scores each token by the scaled product of its key with the key of a query.

    Args:
        key_dim: int, K, channels of the keys.

    Call arguments:
        tokens: float tensor `(B, T, D)`.
        query: float tensor `(B, E)`.
        padding_mask: bool tensor `(B, T)`, True = real; `None` for all.

    Returns:
        Logits `(B, T)`; -1e9, or -3e4 in float16, where nothing is to be pointed at. A softmax over T chooses
        one token, a sigmoid any number.

    Raises:
        ValueError: if `key_dim` is not positive.

    Reference:
        Pointer networks, arXiv 1506.03134, with the products of arXiv 1706.03762 for their additive scores.
    """

    def __init__(self, key_dim, **kwargs):
        super().__init__(**kwargs)
        if key_dim < 1:
            raise ValueError(f"`key_dim` must be positive. Received: key_dim={key_dim}")
        self.key_dim = key_dim

    def build(self, tokens_shape, query_shape):
        self.key_dense = keras.layers.Dense(self.key_dim, dtype=self.dtype_policy, name="key")
        self.key_dense.build(tokens_shape)
        self.query_dense = keras.layers.Dense(self.key_dim, dtype=self.dtype_policy, name="query")
        self.query_dense.build(query_shape)

    def call(self, tokens, query, padding_mask=None):
        keys, query = self.key_dense(tokens), self.query_dense(query)  # B T K, B K
        scores = ops.matmul(keys, query[..., None] * self.key_dim**-0.5)[..., 0]
        if padding_mask is None:
            return scores
        hidden_score = HIDDEN_SCORE_FLOAT16 if self.compute_dtype == "float16" else HIDDEN_SCORE
        hidden = ops.full_like(scores, hidden_score)
        return ops.where(ops.cast(padding_mask, "bool"), scores, hidden)

    def compute_output_spec(self, tokens, query, padding_mask=None):
        return keras.KerasTensor(tokens.shape[:-1], dtype=self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "key_dim": self.key_dim}
