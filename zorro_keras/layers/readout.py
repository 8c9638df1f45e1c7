"""The read-out: learned queries that each read what a routing lets them."""

import keras
from keras import ops

from zorro_keras.layers.cross_attention_block import CrossAttentionBlock
from zorro_keras.layers.learned_array import LearnedArray


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
        Dict of output to tensor `(B, D)`.

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
        hidden_dim = tokens_shape[-1]
        self.queries = LearnedArray(len(self.outputs), hidden_dim, dtype=self.dtype_policy, name="queries")
        self.queries.build(tokens_shape)
        self.reading = CrossAttentionBlock(
            self.num_heads,
            mlp_dim=self.mlp_dim,
            epsilon=self.epsilon,
            dtype=self.dtype_policy,
            name="reading",
        )
        self.reading.build((None, len(self.outputs), hidden_dim), tokens_shape)

    def call(self, tokens, outputs=None, plan=None, attention_mask=None):
        outputs = outputs or self.outputs
        rows = ops.convert_to_tensor([self.outputs.index(output) for output in outputs])
        read = self.reading(self.queries(tokens, rows=rows), tokens, plan=plan, attention_mask=attention_mask)
        return {output: read[:, row] for row, output in enumerate(outputs)}

    def compute_output_spec(self, tokens, outputs=None, **kwargs):
        shape = (tokens.shape[0], tokens.shape[-1])
        return {
            output: keras.KerasTensor(shape, dtype=self.compute_dtype) for output in outputs or self.outputs
        }

    def get_config(self):
        return {
            **super().get_config(),
            "outputs": list(self.outputs),
            "num_heads": self.num_heads,
            "mlp_dim": self.mlp_dim,
            "epsilon": self.epsilon,
        }
