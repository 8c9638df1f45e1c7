"""Sums of values weighted by a softmax, over all keys at once or over a few of them at a time.

The online softmax of arXiv 1805.02867, used for attention in arXiv 2112.05682: what was summed under a lower
peak is scaled to the new one.
"""

import keras
from keras import ops

from zorro_keras.layers.kernels import split_at

HIDDEN_LOGIT = -1e30


def weigh(query, key, value, mask=None, dropout=None, bias=None):
    """Returns what a softmax needs of some keys; context / total is its weighted average.

    Args:
        query: float tensor `(B, N, T, H)`, scaled; more axes may follow B, here and everywhere.
        key: float tensor `(B, N, H, S)`.
        value: float tensor `(B, N, S, E)`.
        mask: bool tensor that broadcasts to `(B, N, T, S)`, True = may read; `None` = may read all.
        dropout: callable on weights `(B, N, T, S)`, or `None`.
        bias: float tensor that broadcasts to `(B, N, T, S)`, added to the logits; `None` for none.

    Returns:
        Tuple of context, the values' weighted sum `(B, N, T, E)` in their dtype, but float32 of float16;
        total, the sum of the weights `(B, N, T, 1)`, float32; peak, the logit at which a weight is 1,
        `(B, N, T, 1)`, float32.
    """
    logits = _logits(query, key, mask, bias)
    peak = ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True))
    weights = ops.exp(logits - peak)
    total = ops.sum(weights, axis=-1, keepdims=True)
    # Numbers in float16 end at 65,504: a sum over many keys is taken of their shares.
    by_shares = keras.backend.standardize_dtype(value.dtype) == "float16"
    weights = ops.cast(weights / total if by_shares else weights, value.dtype)
    if dropout is not None:
        weights = dropout(weights)
    context = ops.matmul(weights, value)
    return ops.cast(context, "float32") * total if by_shares else context, total, peak


def weigh_by_shares(query, key, value, mask=None, dropout=None, bias=None):
    """Returns the weighted average `(B, N, T, E)` of what `weigh` takes, in the dtype of the values.

    Where each operation passes over the logits, a softmax is two passes, and what `weigh` does is five.
    """
    weights = ops.cast(ops.softmax(_logits(query, key, mask, bias), axis=-1), value.dtype)
    return ops.matmul(weights if dropout is None else dropout(weights), value)


def _logits(query, key, mask, bias):
    """Returns what the softmax is of, `(B, N, T, S)`, float32."""
    logits = ops.cast(ops.matmul(query, key), "float32")
    if bias is not None:
        logits = logits + ops.cast(bias, "float32")
    return logits if mask is None else ops.where(mask, logits, HIDDEN_LOGIT)


def weigh_in_chunks(query, key, value, mask=None, dropout=None, chunk=1024):
    """Returns context and total as `weigh` does, by so many keys at a time; both are float32.

    The weights of a whole row never exist at once, neither in the backward pass, which computes those of a
    chunk again. With dropout it keeps them: drawn again, they would be others. The program grows with the
    number of chunks.
    """
    cuts = list(range(chunk, key.shape[3], chunk))
    keys, values = split_at(key, cuts, axis=3), split_at(value, cuts, axis=2)
    masks = [mask] * len(keys) if mask is None or mask.shape[3] == 1 else split_at(mask, cuts, axis=3)
    sums = None
    for key_part, value_part, mask_part in zip(keys, values, masks, strict=True):
        part = _weigh_part(query, key_part, value_part, mask_part, dropout)
        sums = _as_sums(part) if sums is None else _merged(sums, part)
    return sums[:2]


def weigh_in_scan(query, key, value, mask=None, dropout=None, chunk=1024):
    """Returns context and total as `weigh_in_chunks` does, by a program that chunks do not make longer."""
    sources = ((key, 3), (value, 2))
    return fold_in_scan(query, sources, _as_they_are, value.shape[-1], mask, dropout, chunk)


def fold_in_scan(query, sources, make, width, mask=None, dropout=None, chunk=1024):
    """Returns context and total as `weigh_in_chunks` does, of keys and values that are made chunk by chunk.

    Args:
        query: float tensor `(B, N, T, H)`, scaled.
        sources: tuple of pairs of a tensor with a batch axis in front and its axis of length S. They are laid
            out chunk by chunk, the last chunk filled up with zeros that are never read.
        make: function of one chunk of each source that returns the keys `(B, N, H, chunk)` and the values
            `(B, N, chunk, width)`. The backward pass runs it again.
        width: int, channels of the values.
        mask, dropout, chunk: as for `weigh_in_chunks`.
    """
    size, (batch, heads, rows) = sources[0][0].shape[sources[0][1]], ops.shape(query)[:3]
    count = -(-size // chunk)
    if mask is None or mask.shape[3] == 1:
        real = ops.ones((1, 1, 1, size), "bool")
        mask = real if mask is None else ops.logical_and(real, mask)

    def in_chunks(x, axis):
        filling = [(0, count * chunk - size if place == axis else 0) for place in range(len(x.shape))]
        shape = (*ops.shape(x)[:axis], count, chunk, *ops.shape(x)[axis + 1 :])
        return ops.moveaxis(ops.reshape(ops.pad(x, filling), shape), axis, 0)

    def add(sums, parts):
        *made_of, seen = parts
        return _merged(sums, _weigh_made(query, made_of, make, seen, dropout)), ops.zeros(())

    parts = tuple(in_chunks(x, axis) for x, axis in (*sources, (mask, 3)))
    (context, total, _), _ = ops.scan(add, _no_sums(batch, heads, rows, width), parts)
    return context, total


def weigh_in_loop(query, key, value, mask=None, dropout=None, chunk=1024):
    """Returns context and total as `weigh_in_chunks` does, of a number of keys that only running tells.

    That is so on TensorFlow, for a length that differs from call to call.
    """
    sources = ((key, 3), (value, 2))
    return fold_in_loop(query, sources, _as_they_are, value.shape[-1], mask, dropout, chunk)


def fold_in_loop(query, sources, make, width, mask=None, dropout=None, chunk=1024, recompute=True):
    """Returns context and total as `fold_in_scan` does, of a length that only running may tell.

    Without `recompute` the backward pass keeps what `make` makes: TensorFlow cannot run it again in a loop
    where it reads variables.
    """
    (batch, heads, rows), (first, axis) = ops.shape(query)[:3], sources[0]
    size = ops.shape(first)[axis]
    count = (size + chunk - 1) // chunk

    def longer(x, axis):
        # All chunks are of one size, as XLA needs: the last one reaches into zeros that the mask hides.
        shape = list(ops.shape(x))
        shape[axis] = chunk
        return ops.concatenate([x, ops.zeros(shape, x.dtype)], axis=axis)

    sources = [(longer(x, axis), axis) for x, axis in sources]
    if mask is not None and mask.shape[3] != 1:
        mask = longer(mask, 3)

    def add(place, *sums):
        low = place * chunk
        real = (low + ops.arange(chunk) < size)[None, None, None]
        if mask is not None:
            seen = mask if mask.shape[3] == 1 else _chunk_of(mask, low, chunk, axis=3)
            real = ops.logical_and(real, seen)
        made_of = [_chunk_of(x, low, chunk, axis) for x, axis in sources]
        return (place + 1, *_merged(sums, _weigh_made(query, made_of, make, real, dropout, recompute)))

    nothing = _no_sums(batch, heads, rows, width)
    _, context, total, _ = ops.while_loop(
        lambda place, *_: place < count, add, (0, *nothing), maximum_iterations=count
    )
    return context, total


def _as_they_are(key, value):
    return key, value


def _chunk_of(x, low, chunk, axis):
    starts, sizes = [0] * len(x.shape), list(ops.shape(x))
    starts[axis], sizes[axis] = low, chunk
    return ops.slice(x, starts, sizes)


def _weigh_part(query, key, value, mask, dropout):
    return _weigh_made(query, (key, value), _as_they_are, mask, dropout)


def _weigh_made(query, made_of, make, mask, dropout, recompute=True):
    def weigh_these(query, *made_of):
        return weigh(query, *make(*made_of), mask=mask, dropout=dropout)

    recompute = recompute and dropout is None  # drawn again, a dropout would be another
    return (keras.remat(weigh_these) if recompute else weigh_these)(query, *made_of)


def _no_sums(batch, heads, rows, width):
    shape = (batch, heads, rows)
    return (
        ops.zeros((*shape, width), "float32"),
        ops.zeros((*shape, 1), "float32"),
        ops.zeros((*shape, 1), "float32")
        + HIDDEN_LOGIT,  # `ops.full` of torch reads a number from the device
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
