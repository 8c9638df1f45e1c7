"""Sums of values weighted by a softmax, over all keys at once or over a few of them at a time.

The online softmax of arXiv 1805.02867, used for attention in arXiv 2112.05682: what was summed under a lower
peak is scaled to the new one.
"""

import functools

import keras
from keras import ops

HIDDEN_LOGIT = -1e30


def weigh(query, key, value, mask=None, dropout=None):
    """Returns what a softmax needs of some keys; context / total is its weighted average.

    Args:
        query: float tensor `(B, N, T, H)`, scaled.
        key: float tensor `(B, N, H, S)`.
        value: float tensor `(B, N, S, E)`.
        mask: bool tensor that broadcasts to `(B, N, T, S)`, True = may read; `None` = may read all.
        dropout: callable on weights `(B, N, T, S)`, or `None`.

    Returns:
        Tuple of context, the values' weighted sum `(B, N, T, E)` in their dtype; total, the sum of the
        weights `(B, N, T, 1)`, float32; peak, the logit at which a weight is 1, `(B, N, T, 1)`, float32.
    """
    logits = ops.cast(ops.matmul(query, key), "float32")  # B N T S
    if mask is not None:
        logits = ops.where(mask, logits, HIDDEN_LOGIT)
    peak = ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True))
    weights = ops.exp(logits - peak)
    total = ops.sum(weights, axis=-1, keepdims=True)
    weights = ops.cast(weights, value.dtype)
    if dropout is not None:
        weights = dropout(weights)
    return ops.matmul(weights, value), total, peak


def weigh_in_chunks(query, key, value, mask=None, dropout=None, chunk=1024):
    """Returns context and total as `weigh` does, by so many keys at a time; both are float32.

    The weights of a whole row never exist at once, neither in the backward pass, which computes those of a
    chunk again. With dropout it keeps them: drawn again, they would be others. The program grows with the
    number of chunks.
    """
    cuts = list(range(chunk, key.shape[3], chunk))
    keys, values = ops.split(key, cuts, axis=3), ops.split(value, cuts, axis=2)
    masks = [mask] * len(keys) if mask is None or mask.shape[3] == 1 else ops.split(mask, cuts, axis=3)
    sums = None
    for key_part, value_part, mask_part in zip(keys, values, masks, strict=True):
        part = _weigh_part(query, key_part, value_part, mask_part, dropout)
        sums = _as_sums(part) if sums is None else _merged(sums, part)
    return sums[:2]


def weigh_in_scan(query, key, value, mask=None, dropout=None, chunk=1024):
    """Returns context and total as `weigh_in_chunks` does, by a program as long for many chunks as for few.

    The keys are laid out chunk by chunk, the last one filled up with zeros that are never read.
    """
    size, (batch, heads, rows) = key.shape[3], ops.shape(query)[:3]
    count = -(-size // chunk)
    if mask is None or mask.shape[3] == 1:
        real = ops.ones((1, 1, 1, size), "bool")
        mask = real if mask is None else ops.logical_and(real, mask)

    def in_chunks(x, axis):
        filling = [(0, count * chunk - size if place == axis else 0) for place in range(4)]
        shape = (*ops.shape(x)[:axis], count, chunk, *ops.shape(x)[axis + 1 :])
        return ops.moveaxis(ops.reshape(ops.pad(x, filling), shape), axis, 0)

    def add(sums, part):
        return _merged(sums, _weigh_part(query, *part, dropout)), None

    nothing = _no_sums(batch, heads, rows, value.shape[-1])
    (context, total, _), _ = ops.scan(
        add, nothing, (in_chunks(key, 3), in_chunks(value, 2), in_chunks(mask, 3))
    )
    return context, total


def weigh_in_loop(query, key, value, mask=None, dropout=None, chunk=1024):
    """Returns context and total as `weigh_in_chunks` does, of a number of keys that only running tells.

    That is so on TensorFlow, for a length that differs from call to call.
    """
    batch, heads, width, size = ops.shape(key)
    rows, value_width = ops.shape(query)[2], value.shape[-1]
    count = (size + chunk - 1) // chunk
    # All chunks are of one size, as XLA needs: the last one reaches into zeros that the mask hides.
    key = ops.concatenate([key, ops.zeros((batch, heads, width, chunk), key.dtype)], axis=3)
    value = ops.concatenate([value, ops.zeros((batch, heads, chunk, value_width), value.dtype)], axis=2)
    if mask is not None and mask.shape[3] != 1:
        hidden = ops.zeros((*ops.shape(mask)[:3], chunk), "bool")
        mask = ops.concatenate([mask, hidden], axis=3)

    def add(place, *sums):
        low = place * chunk
        real = (low + ops.arange(chunk) < size)[None, None, None]
        if mask is not None:
            seen = mask if mask.shape[3] == 1 else _chunk_of(mask, low, chunk, axis=3)
            real = ops.logical_and(real, seen)
        keys, values = _chunk_of(key, low, chunk, axis=3), _chunk_of(value, low, chunk, axis=2)
        return (place + 1, *_merged(sums, _weigh_part(query, keys, values, real, dropout)))

    nothing = _no_sums(batch, heads, rows, value_width)
    _, context, total, _ = ops.while_loop(
        lambda place, *_: place < count, add, (0, *nothing), maximum_iterations=count
    )
    return context, total


def _chunk_of(x, low, chunk, axis):
    starts, sizes = [0] * len(x.shape), list(ops.shape(x))
    starts[axis], sizes[axis] = low, chunk
    return ops.slice(x, starts, sizes)


def _weigh_part(query, key, value, mask, dropout):
    weigh_these = functools.partial(weigh, mask=mask, dropout=dropout)
    return (weigh_these if dropout is not None else keras.remat(weigh_these))(query, key, value)


def _no_sums(batch, heads, rows, width):
    shape = (batch, heads, rows)
    return (
        ops.zeros((*shape, width), "float32"),
        ops.zeros((*shape, 1), "float32"),
        ops.full((*shape, 1), HIDDEN_LOGIT, "float32"),
    )


def _as_sums(part):
    context, total, peak = part
    return ops.cast(context, "float32"), total, peak


def _merged(sums, part):
    """Returns the sums over the keys of both."""
    context, total, peak = sums
    part_context, part_total, part_peak = _as_sums(part)
    new_peak = ops.maximum(peak, part_peak)
    old, new = ops.exp(peak - new_peak), ops.exp(part_peak - new_peak)
    return context * old + part_context * new, total * old + part_total * new, new_peak
