"""Attention to a long context whose keys and values never exist whole."""

from keras import ops

from zorro_keras.layers.kernels import recomputes_in_loops
from zorro_keras.layers.online_softmax import fold_in_loop, fold_in_scan


def read_in_chunks(attention, norm, query, context, attention_mask=None):
    """Returns what queries read of `norm(context)`, of which keys and values are made chunk by chunk.

    The same up to rounding as `attention(query, norm(context))`, of which each of the three is as large as
    the context. Nothing of it is kept for the backward pass, which makes each chunk again; on TensorFlow it
    is for inference only.

    Args:
        attention: `Attention` that is built and has a `key_chunk`; its dropout does not act.
        norm: layer, or function, on `(B, chunk, C)`.
        query: float tensor `(B, T, D)`.
        context: float tensor `(B, S, C)`.
        attention_mask: bool tensor that broadcasts to `(B, T, S)`, True = may read; `None` = all.

    Returns:
        Tensor `(B, T, output_dim)`.
    """
    mask = None if attention_mask is None else ops.expand_dims(attention_mask, 1)  # B 1 T S
    query = attention.queries(query)
    query = ops.transpose(query * ops.cast(query.shape[-1] ** -0.5, query.dtype), (0, 2, 1, 3))

    def make(part):
        key, value = attention.keys_and_values(norm(part))
        return ops.transpose(key, (0, 2, 3, 1)), ops.transpose(value, (0, 2, 1, 3))

    width = attention.value_head_dim or attention.head_dim
    options = {"mask": mask, "chunk": attention.key_chunk}
    if isinstance(context.shape[1], int) and recomputes_in_loops():
        read, total = fold_in_scan(query, ((context, 1),), make, width, **options)
    else:
        read, total = fold_in_loop(query, ((context, 1),), make, width, recompute=False, **options)
    read = ops.cast(read / total, context.dtype)
    if mask is not None:
        read = ops.where(ops.any(mask, axis=-1, keepdims=True), read, ops.zeros_like(read))
    return attention.output(ops.transpose(read, (0, 2, 1, 3)))
