"""Attention: one layer for self, cross, routed, masked and cached attention."""

import keras
from keras import ops

from zorro_keras.layers.initializers import dense_kernel
from zorro_keras.layers.kernels import (
    by_rows,
    fuses_lengths,
    has_fused_attention,
    recomputes_in_loops,
    runs_on_tpu,
    runs_op_by_op,
    split_at,
)
from zorro_keras.layers.online_softmax import (
    weigh,
    weigh_by_shares,
    weigh_in_chunks,
    weigh_in_loop,
    weigh_in_scan,
)
from zorro_keras.layers.tpu_attention import attend_on_tpu, suits_tpu
from zorro_keras.routing import ReadPlan

# A plan is an argument of layers in functional graphs, which Keras saves with the model.
keras.saving.register_keras_serializable("zorro_keras")(ReadPlan)

LOGITS_PER_PART = 300_000  # of one head, float32: 1.2 MB
MAX_PARTS = 8  # each part is another few operations to compile


def attend(query, key, value, attention_mask=None, dropout=None, key_chunk=None, bias=None):
    """Returns each query's average of the values, weighted by softmax(query . key / sqrt(H) + bias).

    The softmax is computed in float32 whatever the dtype. A query that may read no key gets exactly zero.
    Long sequences are read by a few queries at a time: the logits then stay in the processor's cache.

    Args:
        query: float tensor `(B, T, N, H)`. Where keys are read all at once, more axes may follow B, such as
            that of windows: here and in all that follows.
        key: float tensor `(B, S, N, H)`.
        value: float tensor `(B, S, N, E)`.
        attention_mask: bool tensor that broadcasts to `(B, T, S)`, True = may read; `None` = may read all.
        dropout: callable on weights `(B, N, T, S)`, or `None`.
        key_chunk: int, keys that are read at a time, so that the weights of a whole row never exist at once,
            neither in the backward pass; `None` for all keys. The result is the same up to rounding. No fused
            kernel is then used: whether it would need constant memory depends on widths and dtype.
        bias: float tensor that broadcasts to `(N, T, S)`, or `None`. Keys are then read all at once.

    Returns:
        Tensor `(B, T, N, E)` in the dtype of `value`.

    Raises:
        ValueError: for a `bias` where keys are read in chunks.

    Reference:
        arXiv 1706.03762, section 3.2.1; the blind query follows DeepMind's Perceiver IO code; reading keys in
        chunks is the online softmax of arXiv 1805.02867, used for attention in arXiv 2112.05682.
    """
    if bias is not None and key_chunk is not None:
        raise ValueError(f"`key_chunk` must be None where there is a bias. Received: key_chunk={key_chunk}")
    query, key, value = (ops.convert_to_tensor(x) for x in (query, key, value))
    if bias is None and _may_fuse(query, value, dropout, key_chunk):
        fused = _fused_kernel(query, key, attention_mask)
        if fused is not None:
            return fused(query, key, value, attention_mask)
    key, value = _key_heads_first(key), _heads_first(value)
    return _attend_heads_first(query, key, value, attention_mask, dropout, key_chunk, bias)


def attend_along(plan, query, key, value, attention_mask=None, dropout=None, key_chunk=None):
    """Returns `(B, T, N, E)` as `attend` does; each query reads only the keys that a `ReadPlan` gives it."""
    query, key, value = (ops.convert_to_tensor(x) for x in (query, key, value))
    reads = sorted(plan.reads, key=lambda read: read.queries.start)
    masks = [_mask_of(read, attention_mask) for read in reads]
    queries = split_at(query, [read.queries.start for read in reads[1:]], axis=1)
    fuse = _may_fuse(query, value, dropout, key_chunk)
    key_axis, value_axis = (1, 1) if fuse else (3, 2)
    if not fuse:  # Once for all reads; a query has only one read, which then changes its order.
        key, value = _key_heads_first(key), _heads_first(value)
    keys = _taken(key, [read.keys for read in reads], key_axis)
    values = _taken(value, [read.keys for read in reads], value_axis)
    read = attend if fuse else _attend_heads_first
    contexts = [read(*given, dropout, key_chunk) for given in zip(queries, keys, values, masks, strict=True)]
    return contexts[0] if len(contexts) == 1 else ops.concatenate(contexts, axis=1)


def _may_fuse(query, value, dropout, key_chunk):
    # JAX's kernel for GPUs takes values of the keys' width only.
    suits = len(query.shape) == 4 and (query.shape[-1] == value.shape[-1] or runs_on_tpu())
    return suits and dropout is None and key_chunk is None and has_fused_attention()


def _fused_kernel(query, key, attention_mask):
    """Returns the device's function of query, key, value and mask; `None` where it has none for them."""
    if runs_on_tpu():
        return attend_on_tpu if suits_tpu(query, key, attention_mask) else None
    if attention_mask is None and fuses_lengths(query.shape[1], key.shape[1]):
        return _attend_by_keras
    return None


def _attend_by_keras(query, key, value, attention_mask):
    return ops.dot_product_attention(query, key, value, mask=attention_mask)


def _attend_heads_first(query, key, value, attention_mask, dropout, key_chunk, bias=None):
    """Returns `(B, T, N, E)` of queries `(B, T, N, H)`, keys `(B, N, H, S)` and values `(B, N, S, E)`."""
    query = _heads_first(query * ops.cast(query.shape[-1] ** -0.5, query.dtype))
    return _heads_first(_read_in_parts(query, key, value, attention_mask, dropout, key_chunk, bias))


def _heads_first(x):
    """Returns `(B, N, T, H)` of `(B, T, N, H)`, and the other way round."""
    return ops.swapaxes(x, -3, -2)


def _key_heads_first(key):
    return ops.moveaxis(key, -3, -1)  # B N H S


def _mask_of(read, attention_mask):
    """Returns what a read sees of a mask that broadcasts to `(B, T, S)`; `None` where nothing is hidden."""
    if not read.masked or attention_mask is None:
        return None
    (mask,) = _taken(attention_mask, [read.keys], axis=2)
    return mask if mask.shape[1] == 1 else mask[:, read.queries]


def _read_in_parts(query, key, value, attention_mask, dropout, key_chunk, bias=None):
    """Returns `(B, N, T, E)`, computed for as many queries at a time as the processor's cache can hold."""
    mask = None if attention_mask is None else ops.expand_dims(attention_mask, -3)  # B 1 T S
    cuts = _row_cuts(query.shape[-2], key_chunk or key.shape[-1])

    def by_rows(x):
        return [x] * (len(cuts) + 1) if x is None or x.shape[-2] == 1 else split_at(x, cuts, axis=-2)

    given = zip(split_at(query, cuts, axis=-2), by_rows(mask), by_rows(bias), strict=True)
    parts = [_read(rows, key, value, seen, dropout, key_chunk, added) for rows, seen, added in given]
    return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-2)


def _read(query, key, value, mask, dropout, key_chunk, bias=None):
    """Returns `(B, N, T, E)`: weights are divided by their sum only after the product, which is smaller."""
    size = key.shape[-1]
    whole = key_chunk is None or (_known(size) and size <= key_chunk)
    if whole and size != 1 and runs_op_by_op():  # Keras warns of a softmax of one number
        context = weigh_by_shares(query, key, value, mask, dropout, bias)
    else:
        context, total = (
            weigh(query, key, value, mask, dropout, bias)[:2]
            if whole
            else _way_through_chunks(size, dropout)(query, key, value, mask, dropout, key_chunk)
        )
        context = ops.cast(context / ops.cast(total, context.dtype), value.dtype)
    if mask is None:
        return context
    return ops.where(ops.any(mask, axis=-1, keepdims=True), context, ops.zeros_like(context))


def _way_through_chunks(size, dropout):
    if not _known(size):
        return weigh_in_loop
    return weigh_in_scan if dropout is None and recomputes_in_loops() else weigh_in_chunks


def _row_cuts(num_queries, num_keys):
    """Returns where to cut the queries so that the logits of a part fit the cache; `MAX_PARTS` at most."""
    if not (_known(num_queries) and _known(num_keys)):
        return []
    parts = min(MAX_PARTS, max(1, num_queries * num_keys // LOGITS_PER_PART))
    rows = -(-num_queries // parts)
    return list(range(rows, num_queries, rows))


def _known(size):
    """Whether a length is a number: TensorFlow traces an open one as `None`, JAX exports it as a symbol."""
    return isinstance(size, int)


@keras.saving.register_keras_serializable("zorro_keras")
class Attention(keras.layers.Layer):
    """Multi-head attention of queries over a context, along a plan of reads.

    Args:
        num_heads: int, N, number of heads.
        head_dim: int, H, channels of queries and keys per head.
        value_head_dim: int, E, channels of values per head; `None` for `head_dim`.
        output_dim: int, channels of the result; `None` for the channels of the query.
        use_bias: bool, whether the four projections have biases.
        dropout_rate: float in [0, 1), probability to drop an attention weight in training.
        kernel_initializer: initializer of the four kernels; `None` for Glorot uniform.
        key_chunk: int, keys that are read at a time, which bounds the memory; `None` for all.
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
        value_head_dim=None,
        output_dim=None,
        use_bias=True,
        dropout_rate=0.0,
        kernel_initializer=None,
        key_chunk=None,
        seed=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        sizes = {"num_heads": num_heads, "head_dim": head_dim, "key_chunk": key_chunk}
        for argument, size in sizes.items():
            if size is not None and size < 1:
                raise ValueError(f"`{argument}` must be positive. Received: {argument}={size}")
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.value_head_dim = value_head_dim
        self.output_dim = output_dim
        self.use_bias = use_bias
        self.dropout_rate = dropout_rate
        self.kernel_initializer = keras.initializers.get(kernel_initializer or dense_kernel())
        self.key_chunk = key_chunk
        self.seed = seed

    def build(self, query_shape, context_shape=None):
        context_shape = query_shape if context_shape is None else context_shape
        value_head_dim = self.value_head_dim or self.head_dim
        self.query_dense = self._dense(self.num_heads * self.head_dim, "query", query_shape)
        self.key_dense = self._dense(self.num_heads * self.head_dim, "key", context_shape)
        self.value_dense = self._dense(self.num_heads * value_head_dim, "value", context_shape)
        mixed_shape = (*query_shape[:-1], self.num_heads * value_head_dim)
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
        key = self._split_heads(by_rows(self.key_dense, context))
        value = self._split_heads(by_rows(self.value_dense, context))
        if memory is not None:
            key = ops.concatenate([ops.cast(memory[0], key.dtype), key], axis=1)
            value = ops.concatenate([ops.cast(memory[1], value.dtype), value], axis=1)
        return key, value

    def read(self, query, key, value, plan=None, attention_mask=None, training=None):
        """Returns what the queries `(B, T, D)` make of given keys and values, `(B, T, output_dim)`."""
        query = self.queries(query)
        dropout = self.dropout if training else None
        if plan is None:
            context = attend(query, key, value, attention_mask, dropout, self.key_chunk)
        else:
            context = attend_along(plan, query, key, value, attention_mask, dropout, self.key_chunk)
        return self.output(context)

    def queries(self, query):
        """Returns the queries `(B, T, N, H)` of `(B, T, D)`."""
        return self._split_heads(by_rows(self.query_dense, query))

    def output(self, context):
        """Returns the result `(B, T, output_dim)` of what the heads read, `(B, T, N, E)`."""
        length, channels = ops.shape(context)[1], self.num_heads * context.shape[-1]
        return by_rows(self.output_dense, ops.reshape(context, (-1, length, channels)))

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
        # The length is not always known: TensorFlow gives up on it when it sees several.
        return ops.reshape(x, (-1, ops.shape(x)[1], self.num_heads, x.shape[-1] // self.num_heads))  # B T N H

    def compute_output_spec(self, query, *args, **kwargs):
        shape = (*query.shape[:-1], self.output_dim or query.shape[-1])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "head_dim": self.head_dim,
            "value_head_dim": self.value_head_dim,
            "output_dim": self.output_dim,
            "use_bias": self.use_bias,
            "dropout_rate": self.dropout_rate,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "key_chunk": self.key_chunk,
            "seed": self.seed,
        }


def _taken(x, choices, axis):
    """Returns, for each choice of slices of one axis, the slices joined; all of `x` costs nothing."""
    size = x.shape[axis]
    edges = sorted({edge for slices in choices for part in slices for edge in (part.start, part.stop)} | {0})
    pieces = dict(zip(edges, split_at(x, [e for e in edges if 0 < e < size], axis), strict=False))
    taken = []
    for slices in choices:
        if slices == (slice(0, size),):
            taken.append(x)
            continue
        parts = [pieces[edge] for edge in edges if any(part.start <= edge < part.stop for part in slices)]
        taken.append(parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=axis))
    return taken
