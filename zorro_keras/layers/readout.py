"""The read-out: learned queries that each read what a routing lets them."""

import keras
from keras import ops

from zorro_keras.layers.attention import Attention
from zorro_keras.layers.learned_array import LearnedArray
from zorro_keras.layers.mlp import MLP


@keras.saving.register_keras_serializable("zorro_keras")
class Readout(keras.layers.Layer):
    """One decoding cross-attention from learned queries to the packed tokens.

    Args:
        outputs: names of the outputs, one learned query each.
        num_heads: int, heads of the attention.
        mlp_dim: int, channels inside an MLP after the attention; 0 for none.
        epsilon: float, added to the variance in the norms.

    Call arguments:
        tokens: float tensor `(B, S, D)`.
        outputs: names of the T outputs to compute; `None` for all.
        plan: `ReadPlan` of these T queries and S keys; `None` lets each read everything.
        attention_mask: bool tensor `(B, 1, S)`, True = may be read.

    Returns:
        Tensor `(B, T, D)`.

    Reference:
        Zorro, arXiv 2301.09595, Figure 2: four learned queries and one masked cross-attention. Norms on both
        sides and the residual on the queries are our choice, the figure shows neither.
    """

    def __init__(self, outputs, num_heads, mlp_dim=0, epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        self.outputs = tuple(outputs)
        self.num_heads = num_heads
        self.mlp_dim = mlp_dim
        self.epsilon = epsilon

    def build(self, tokens_shape):
        hidden_dim, policy = tokens_shape[-1], self.dtype_policy
        self.queries = LearnedArray(len(self.outputs), hidden_dim, dtype=policy, name="queries")
        self.query_norm = self._norm("query_norm")
        self.context_norm = self._norm("context_norm")
        self.attention = Attention(
            self.num_heads, hidden_dim // self.num_heads, dtype=policy, name="attention"
        )
        queries_shape = (None, len(self.outputs), hidden_dim)
        for layer in (self.queries, self.query_norm, self.context_norm):
            layer.build(tokens_shape)
        self.attention.build(queries_shape, tokens_shape)
        self.mlp = None
        if self.mlp_dim:
            self.mlp_norm = self._norm("mlp_norm")
            self.mlp = MLP(self.mlp_dim, dtype=policy, name="mlp")
            for layer in (self.mlp_norm, self.mlp):
                layer.build(queries_shape)

    def call(self, tokens, outputs=None, plan=None, attention_mask=None):
        rows = [self.outputs.index(output) for output in outputs or self.outputs]
        queries = ops.take(self.queries(tokens), rows, axis=1)
        queries = queries + self.attention(
            self.query_norm(queries), self.context_norm(tokens), plan=plan, attention_mask=attention_mask
        )
        return queries if self.mlp is None else queries + self.mlp(self.mlp_norm(queries))

    def compute_output_spec(self, tokens, outputs=None, **kwargs):
        shape = (tokens.shape[0], len(outputs or self.outputs), tokens.shape[-1])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def _norm(self, name):
        return keras.layers.LayerNormalization(epsilon=self.epsilon, dtype=self.dtype_policy, name=name)

    def get_config(self):
        return {
            **super().get_config(),
            "outputs": list(self.outputs),
            "num_heads": self.num_heads,
            "mlp_dim": self.mlp_dim,
            "epsilon": self.epsilon,
        }
