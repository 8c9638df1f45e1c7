"""The decoder of Perceiver IO: output queries read the latents."""

import keras
from keras import ops

from zorro_keras.layers.activations import gelu_tanh
from zorro_keras.layers.cross_attention_block import CrossAttentionBlock
from zorro_keras.layers.initializers import attention_kernel, fan_in_kernel


@keras.saving.register_keras_serializable("zorro_keras")
class PerceiverDecoder(keras.layers.Layer):
    """One cross-attention from output queries to the latents; each query is answered for itself.

    Args:
        num_heads: int, heads of the attention.
        query_key_dim: int, channels of queries and keys, all heads together; `None` for the latents'.
        value_dim: int, channels of values, all heads together; `None` for `query_key_dim`.
        mlp_dim: int, channels inside the MLP; `None` for those of the query.
        query_residual: bool, whether the query itself is added to what it read.
        output_dim: int, channels of a last linear layer shared by all outputs; `None` for no such layer.
        activation: name or callable inside the MLP.
        epsilon: float, added to the variance in the norms.
        dropout_rate: float in [0, 1), probability to drop a channel of a branch's result.
        query_chunk: int, queries that are answered at a time; `None` for all. The result is the same up to
            rounding, and no array of L times the number of queries exists.
        remat: bool, whether training recomputes each branch in the backward pass.
        seed: int, seed of the dropouts.

    Call arguments:
        latents: float tensor `(B, L, D)`.
        queries: float tensor `(B, O, E)`; `None` for the latents themselves.
        query_mask: bool tensor `(B, O)`, False = reads nothing: such a query is answered by the biases, the
            residual and the MLP. `None` for all True.

    Returns:
        Tensor `(B, O, E)`, or `(B, O, output_dim)`.

    Reference:
        Perceiver IO, arXiv 2107.14795, section 3.2 and appendix E.
    """

    def __init__(
        self,
        num_heads=1,
        query_key_dim=None,
        value_dim=None,
        mlp_dim=None,
        query_residual=False,
        output_dim=None,
        activation=gelu_tanh,
        epsilon=1e-5,
        dropout_rate=0.0,
        query_chunk=None,
        remat=False,
        seed=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.query_key_dim = query_key_dim
        self.value_dim = value_dim
        self.mlp_dim = mlp_dim
        self.query_residual = query_residual
        self.output_dim = output_dim
        self.activation = keras.activations.get(activation)
        self.epsilon = epsilon
        self.dropout_rate = dropout_rate
        self.query_chunk = query_chunk
        self.remat = remat
        self.seed = seed

    def build(self, latents_shape, queries_shape=None):
        queries_shape = latents_shape if queries_shape is None else queries_shape
        self.cross_attention = CrossAttentionBlock(
            self.num_heads,
            self.query_key_dim,
            self.value_dim,
            self.mlp_dim,
            self.activation,
            self.query_residual,
            self.epsilon,
            attention_kernel(),
            self.dropout_rate,
            remat=self.remat,
            seed=self.seed,
            dtype=self.dtype_policy,
            name="cross_attention",
        )
        self.cross_attention.build(queries_shape, latents_shape)
        self.output_dense = None
        if self.output_dim is not None:
            self.output_dense = keras.layers.Dense(
                self.output_dim, kernel_initializer=fan_in_kernel(), dtype=self.dtype_policy, name="output"
            )
            self.output_dense.build(queries_shape)

    def call(self, latents, queries=None, query_mask=None, training=None):
        queries = latents if queries is None else queries
        count, chunk = queries.shape[1], self.query_chunk
        mask = None if query_mask is None else query_mask[..., None]  # B O 1
        if chunk is None or count is None or count <= chunk:
            return self._answer(latents, queries, mask, training)
        cuts = list(range(chunk, count, chunk))
        query_parts = ops.split(queries, cuts, axis=1)
        masks = [None] * len(query_parts) if mask is None else ops.split(mask, cuts, axis=1)
        answers = [self._answer(latents, *part, training) for part in zip(query_parts, masks, strict=True)]
        return ops.concatenate(answers, axis=1)

    def _answer(self, latents, queries, mask, training):
        answer = self.cross_attention(queries, latents, attention_mask=mask, training=training)
        return answer if self.output_dense is None else self.output_dense(answer)

    def compute_output_spec(self, latents, queries=None, query_mask=None, training=None):
        queries = latents if queries is None else queries
        shape = (*queries.shape[:-1], self.output_dim or queries.shape[-1])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "query_key_dim": self.query_key_dim,
            "value_dim": self.value_dim,
            "mlp_dim": self.mlp_dim,
            "query_residual": self.query_residual,
            "output_dim": self.output_dim,
            "activation": keras.activations.serialize(self.activation),
            "epsilon": self.epsilon,
            "dropout_rate": self.dropout_rate,
            "query_chunk": self.query_chunk,
            "remat": self.remat,
            "seed": self.seed,
        }
