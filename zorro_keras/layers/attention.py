"""Attention: one layer for self, cross, routed, masked and cached attention."""

import keras
from keras import ops

from zorro_keras.layers.initializers import dense_kernel
from zorro_keras.layers.kernels import has_fused_attention
from zorro_keras.routing import ReadPlan

# A plan is an argument of layers in functional graphs, which Keras saves with the model.
keras.saving.register_keras_serializable("zorro_keras")(ReadPlan)

HIDDEN_LOGIT = -1e30
LOGITS_PER_PART = 300_000  # of one head, float32: 1.2 MB
MAX_PARTS = 8  # each part is another few operations to compile


def attend(query, key, value, attention_mask=None, dropout=None):
    """Returns each query's average of the values, weighted by softmax(query . key / sqrt(H)).

    The softmax is computed in float32 whatever the dtype. A query that may read no key gets exactly zero.
    Long sequences are read by a few queries at a time: the logits then stay in the processor's cache.

    Args:
        query: float tensor `(B, T, N, H)`.
        key: float tensor `(B, S, N, H)`.
        value: float tensor `(B, S, N, E)`.
        attention_mask: bool tensor that broadcasts to `(B, T, S)`, True = may read; `None` = may read all.
        dropout: callable on weights `(B, N, T, S)`, or `None`.

    Returns:
        Tensor `(B, T, N, E)` in the dtype of `value`.

    Reference:
        arXiv 1706.03762, section 3.2.1; the blind query follows DeepMind's Perceiver IO code.
    """
    query, key, value = (ops.convert_to_tensor(x) for x in (query, key, value))
    # JAX's kernel takes values of the keys' width only.
    same_width = query.shape[-1] == value.shape[-1]
    if attention_mask is None and dropout is None and same_width and has_fused_attention():
        return ops.dot_product_attention(query, key, value)
    query = ops.transpose(query * ops.cast(query.shape[-1] ** -0.5, query.dtype), (0, 2, 1, 3))  # B N T H
    key, value = ops.transpose(key, (0, 2, 3, 1)), ops.transpose(value, (0, 2, 1, 3))  # B N H S, B N S E
    mask = None if attention_mask is None else ops.expand_dims(attention_mask, 1)  # B 1 T S
    parts = []
    for rows in _row_slices(query.shape[2], key.shape[3]):
        part = mask if mask is None or mask.shape[2] == 1 else mask[:, :, rows]
        parts.append(_read(query[:, :, rows], key, value, part, dropout))
    context = parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=2)
    return ops.transpose(context, (0, 2, 1, 3))


def attend_along(plan, query, key, value, attention_mask=None, dropout=None):
    """Returns `(B, T, N, E)` as `attend` does; each query reads only the keys that a `ReadPlan` gives it."""
    results = {}
    for read in plan.reads:
        mask = None
        if read.masked and attention_mask is not None:
            mask = _take(attention_mask, read.keys, axis=2)
            mask = mask if mask.shape[1] == 1 else mask[:, read.queries]
        keys, values = _take(key, read.keys, axis=1), _take(value, read.keys, axis=1)
        results[read.queries.start] = attend(query[:, read.queries], keys, values, mask, dropout)
    ordered = [results[start] for start in sorted(results)]
    return ordered[0] if len(ordered) == 1 else ops.concatenate(ordered, axis=1)


def _read(query, key, value, mask, dropout):
    """Returns `(B, N, T, E)`: weights are divided by their sum only after the product, which is smaller."""
    logits = ops.cast(ops.matmul(query, key), "float32")  # B N T S
    if mask is not None:
        logits = ops.where(mask, logits, HIDDEN_LOGIT)
    weights = ops.exp(logits - ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True)))
    total = ops.sum(weights, axis=-1, keepdims=True)
    weights = ops.cast(weights, value.dtype)
    if dropout is not None:
        weights = dropout(weights)
    context = ops.matmul(weights, value) / ops.cast(total, value.dtype)
    if mask is None:
        return context
    return ops.where(ops.any(mask, axis=-1, keepdims=True), context, ops.zeros_like(context))


def _row_slices(num_queries, num_keys):
    """Returns slices of the queries whose logits to all keys fit the cache; at most `MAX_PARTS` of them."""
    if num_queries is None or num_keys is None:
        return [slice(None)]
    parts = min(MAX_PARTS, max(1, num_queries * num_keys // LOGITS_PER_PART))
    rows = -(-num_queries // parts)
    return [slice(start, min(start + rows, num_queries)) for start in range(0, num_queries, rows)]


@keras.saving.register_keras_serializable("zorro_keras")
class Attention(keras.layers.Layer):
    """Multi-head attention of queries over a context, along a plan of reads.

    Args:
        num_heads: int, N, number of heads.
        head_dim: int, H, channels of queries and keys per head.
        value_dim: int, E, channels of values per head; `None` for `head_dim`.
        output_dim: int, channels of the result; `None` for the channels of the query.
        use_bias: bool, whether the four projections have biases.
        dropout_rate: float in [0, 1), probability to drop an attention weight in training.
        kernel_initializer: initializer of the four kernels.
        seed: int, seed of the dropout.

    Call arguments:
        query: float tensor `(B, T, D)`.
        context: float tensor `(B, S, C)`; `None` attends over the query itself.
        plan: `ReadPlan` whose layouts hold T queries and M + S keys; `None` reads everything.
        attention_mask: bool tensor `(B, T, M + S)` or `(B, 1, M + S)`, True = may read. With a `plan`, only
            the reads that the plan calls masked look at it.
        memory: pair of tensors, keys `(B, M, N, H)` and values `(B, M, N, E)`, put before the context's.

    Returns:
        Tensor `(B, T, output_dim)`. A query that may read nothing yields the output projection's bias.

    Reference:
        arXiv 1706.03762, section 3.2.2. Structured by a plan, it equals the dense mask of Zorro (arXiv
        2301.09595, masked attention) without ever computing a pair that the mask would hide.
    """

    def __init__(
        self,
        num_heads,
        head_dim,
        value_dim=None,
        output_dim=None,
        use_bias=True,
        dropout_rate=0.0,
        kernel_initializer=None,
        seed=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for argument, size in {"num_heads": num_heads, "head_dim": head_dim}.items():
            if size < 1:
                raise ValueError(f"`{argument}` must be positive. Received: {argument}={size}")
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.value_dim = value_dim
        self.output_dim = output_dim
        self.use_bias = use_bias
        self.dropout_rate = dropout_rate
        self.kernel_initializer = keras.initializers.get(kernel_initializer or dense_kernel())
        self.seed = seed

    def build(self, query_shape, context_shape=None):
        context_shape = query_shape if context_shape is None else context_shape
        value_dim = self.value_dim or self.head_dim
        self.query_dense = self._dense(self.num_heads * self.head_dim, "query", query_shape)
        self.key_dense = self._dense(self.num_heads * self.head_dim, "key", context_shape)
        self.value_dense = self._dense(self.num_heads * value_dim, "value", context_shape)
        mixed_shape = (*query_shape[:-1], self.num_heads * value_dim)
        self.output_dense = self._dense(self.output_dim or query_shape[-1], "output", mixed_shape)
        self.dropout = None
        if self.dropout_rate:
            self.dropout = keras.layers.Dropout(
                self.dropout_rate, seed=self.seed, dtype=self.dtype_policy, name="dropout"
            )
            self.dropout.build(())

    def call(self, query, context=None, plan=None, attention_mask=None, memory=None, training=None):
        key, value = self.keys_and_values(query if context is None else context, memory)
        return self.read(query, key, value, plan, attention_mask, training)

    def keys_and_values(self, context, memory=None):
        """Returns keys `(B, M + S, N, H)` and values `(B, M + S, N, E)`, a memory's before the context's."""
        key = self._split_heads(self.key_dense(context))
        value = self._split_heads(self.value_dense(context))
        if memory is not None:
            key = ops.concatenate([ops.cast(memory[0], key.dtype), key], axis=1)
            value = ops.concatenate([ops.cast(memory[1], value.dtype), value], axis=1)
        return key, value

    def read(self, query, key, value, plan=None, attention_mask=None, training=None):
        """Returns what the queries `(B, T, D)` make of given keys and values, `(B, T, output_dim)`."""
        query = self._split_heads(self.query_dense(query))
        dropout = self.dropout if training else None
        if plan is None:
            context = attend(query, key, value, attention_mask, dropout)
        else:
            context = attend_along(plan, query, key, value, attention_mask, dropout)
        context = ops.reshape(context, (-1, context.shape[1], self.num_heads * context.shape[-1]))  # B T NE
        return self.output_dense(context)

    def _dense(self, units, name, input_shape):
        dense = keras.layers.Dense(
            units,
            use_bias=self.use_bias,
            kernel_initializer=self.kernel_initializer.clone(),
            dtype=self.dtype_policy,
            name=name,
        )
        dense.build(input_shape)
        return dense

    def _split_heads(self, x):
        return ops.reshape(x, (-1, x.shape[1], self.num_heads, x.shape[-1] // self.num_heads))  # B T N H

    def compute_output_spec(self, query, *args, **kwargs):
        shape = (*query.shape[:-1], self.output_dim or query.shape[-1])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "head_dim": self.head_dim,
            "value_dim": self.value_dim,
            "output_dim": self.output_dim,
            "use_bias": self.use_bias,
            "dropout_rate": self.dropout_rate,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "seed": self.seed,
        }


def _take(x, slices, axis):
    """Returns the given slices of one axis, joined; all of `x` costs nothing."""
    if len(slices) == 1 and slices[0] == slice(0, x.shape[axis]):
        return x
    lead = (slice(None),) * axis
    parts = [x[(*lead, part)] for part in slices]
    return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=axis)
