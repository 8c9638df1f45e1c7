"""The pre-norm block in which queries read a context."""

import keras

from zorro_keras.layers.attention import Attention
from zorro_keras.layers.branch_dropouts import attention_seed
from zorro_keras.layers.chunked_reading import read_in_chunks
from zorro_keras.layers.kernels import recomputes_in_loops
from zorro_keras.layers.mlp import MLP


@keras.saving.register_keras_serializable("zorro_keras")
class CrossAttentionBlock(keras.layers.Layer):
    """Attention from queries to a context, and an MLP on the queries; both sides have a norm of their own.

    Args:
        num_heads: int, heads of the attention.
        query_key_dim: int, channels of queries and keys, all heads together; `None` for the context's.
        value_dim: int, channels of values, all heads together; `None` for `query_key_dim`.
        mlp_dim: int, channels inside the MLP; 0 for no MLP, `None` for the channels of the query.
        activation: name or callable inside the MLP.
        query_residual: bool, whether the attention's result is added to the query or replaces it.
        epsilon: float, added to the variance in the norms.
        kernel_initializer: initializer of the kernels of attention and MLP.
        dropout_rate: float in [0, 1), probability to drop a channel of a branch's result.
        key_chunk: int, keys that are read at a time, see `Attention`; `None` for all. Without a plan, and but
            for training on TensorFlow, the context's norm, keys and values are made chunk by chunk as well.
        remat: bool, whether training recomputes the attention and the MLP in the backward pass. Attention
            with dropout is kept.
        seed: int, seed of the dropouts.
        attention_dropout_rate: float in [0, 1), probability to drop a weight of the attention. Training then
            makes the context's norm, keys and values whole.

    Call arguments:
        query: float tensor `(B, T, D)`.
        context: float tensor `(B, S, C)`; `None` for the query itself.
        plan: `ReadPlan` of T queries and S keys; `None` lets each query read everything.
        attention_mask: bool tensor that broadcasts to `(B, T, S)`, True = may read.

    Returns:
        Tensor `(B, T, D)`.

    Raises:
        ValueError: if `num_heads` does not divide `query_key_dim` or `value_dim`.

    Reference:
        Perceiver IO, arXiv 2107.14795, appendix E; widths as in the published code.
    """

    def __init__(
        self,
        num_heads,
        query_key_dim=None,
        value_dim=None,
        mlp_dim=None,
        activation="gelu",
        query_residual=True,
        epsilon=1e-6,
        kernel_initializer=None,
        dropout_rate=0.0,
        key_chunk=None,
        remat=False,
        seed=0,
        attention_dropout_rate=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.query_key_dim = query_key_dim
        self.value_dim = value_dim
        self.mlp_dim = mlp_dim
        self.activation = keras.activations.get(activation)
        self.query_residual = query_residual
        self.epsilon = epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.dropout_rate = dropout_rate
        self.key_chunk = key_chunk
        self.remat = remat
        self.seed = seed
        self.attention_dropout_rate = attention_dropout_rate

    def build(self, query_shape, context_shape=None):
        context_shape = query_shape if context_shape is None else context_shape
        self.query_norm = self._norm("query_norm", query_shape)
        self.context_norm = self._norm("context_norm", context_shape)
        query_key_dim = self.query_key_dim or context_shape[-1]
        self.attention = Attention(
            self.num_heads,
            head_dim=self._per_head(query_key_dim, "query_key_dim"),
            value_head_dim=self._per_head(self.value_dim or query_key_dim, "value_dim"),
            dropout_rate=self.attention_dropout_rate,
            kernel_initializer=self.kernel_initializer,
            key_chunk=self.key_chunk,
            seed=attention_seed(self.seed),
            dtype=self.dtype_policy,
            name="attention",
        )
        self.attention.build(query_shape, context_shape)
        mlp_dim = query_shape[-1] if self.mlp_dim is None else self.mlp_dim
        self.mlp = None
        if mlp_dim:
            self.mlp_norm = self._norm("mlp_norm", query_shape)
            self.mlp = MLP(
                mlp_dim, self.activation, self.kernel_initializer, dtype=self.dtype_policy, name="mlp"
            )
            self.mlp.build(query_shape)
        self.dropouts = [self._dropout(branch) for branch in range(2)] if self.dropout_rate else []

    def call(self, query, context=None, plan=None, attention_mask=None, training=None):
        def read(query, context):
            if self._reads_in_chunks(context, plan, training):
                query = self.query_norm(query)
                return read_in_chunks(self.attention, self.context_norm, query, context, attention_mask)
            normed = self.query_norm(query), self.context_norm(context)
            return self.attention(*normed, plan=plan, attention_mask=attention_mask, training=training)

        def think(query):
            return self.mlp(self.mlp_norm(query))

        if self.remat and training:
            # Computed again, the attention's dropout would draw another mask.
            read = read if self.attention_dropout_rate else keras.remat(read)
            think = keras.remat(think)
        result = self._drop(read(query, query if context is None else context), 0, training)
        query = query + result if self.query_residual else result
        return query if self.mlp is None else query + self._drop(think(query), 1, training)

    def _reads_in_chunks(self, context, plan, training):
        length, chunk = context.shape[1], self.attention.key_chunk
        longer = chunk is not None and (not isinstance(length, int) or length > chunk)
        recomputes = recomputes_in_loops() and not self.attention_dropout_rate
        return longer and plan is None and (recomputes or not training)

    def _per_head(self, dim, argument):
        if dim % self.num_heads:
            raise ValueError(
                f"`num_heads` must divide `{argument}`, by default the channels of the context. "
                f"Received: num_heads={self.num_heads}, {argument}={dim}"
            )
        return dim // self.num_heads

    def _norm(self, name, shape):
        norm = keras.layers.LayerNormalization(epsilon=self.epsilon, dtype=self.dtype_policy, name=name)
        norm.build(shape)
        return norm

    def _dropout(self, branch):
        dropout = keras.layers.Dropout(
            self.dropout_rate, seed=self.seed + branch, dtype=self.dtype_policy, name=f"dropout_{branch}"
        )
        dropout.build(())
        return dropout

    def _drop(self, x, branch, training):
        # Outside of what remat repeats, so that every seed is drawn once a step.
        return self.dropouts[branch](x, training=training) if self.dropouts else x

    def compute_output_spec(self, query, *args, **kwargs):
        return keras.KerasTensor(query.shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "query_key_dim": self.query_key_dim,
            "value_dim": self.value_dim,
            "mlp_dim": self.mlp_dim,
            "activation": keras.activations.serialize(self.activation),
            "query_residual": self.query_residual,
            "epsilon": self.epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "dropout_rate": self.dropout_rate,
            "key_chunk": self.key_chunk,
            "remat": self.remat,
            "seed": self.seed,
            "attention_dropout_rate": self.attention_dropout_rate,
        }
