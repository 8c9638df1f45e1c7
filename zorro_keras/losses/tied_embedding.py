"""The cross-entropy over a vocabulary whose scores never exist whole."""

from keras import ops


def tied_embedding_losses(answers, table, bias, labels, chunk=64):
    """Returns the cross-entropy of ids that are scored by a table of embeddings, a few places at a time.

    The same up to rounding as the sparse cross-entropy of `TiedEmbedding`'s logits `answers . table + bias`.
    Those of one long text and a vocabulary of 32,000 take more than its whole encoder; here only the logits
    of `chunk` places are there at once, in the backward pass too, which computes them again. They are
    multiplied in the dtype of `answers`; softmax, losses and the sums of gradients are float32.

    Args:
        answers: float tensor `(B, T, E)`, T known.
        table: float tensor `(V, E)`.
        bias: float tensor `(V,)`.
        labels: int tensor `(B, T)` of ids in [0, V). Others are not checked and give meaningless losses, even
            NaN: put 0 where a place has no label, and weigh its loss by 0.
        chunk: int > 0, places of a text that are scored at a time.

    Returns:
        Tensor `(B, T)`, float32, nats, at least 0.

    Raises:
        ValueError: if `chunk` is not positive, or the shapes do not go together.

    Example:

    ```python
    nats = zk.losses.tied_embedding_losses(answers, stem.embeddings, head.bias, ids)
    loss = ops.sum(nats * hidden) / ops.maximum(ops.sum(hidden), 1.0)
    ```
    """
    answers = ops.convert_to_tensor(answers)
    table, bias = (ops.reshape(x, x.shape) for x in (table, bias))  # of a variable, its value
    labels = ops.cast(labels, "int32")
    _check(answers, table, bias, labels, chunk)
    length = answers.shape[1]
    chunk = min(chunk, length)
    missing = -length % chunk
    label_parts = _in_parts(ops.pad(labels, ((0, 0), (0, missing))), chunk)

    @ops.custom_gradient
    def losses_of(parts, table, bias):
        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            return _gradients(parts, table, bias, label_parts, upstream)

        return ops.map(lambda part: _entropy(*part, table, bias), (parts, label_parts)), gradient

    parts = _in_parts(ops.pad(answers, ((0, 0), (0, missing), (0, 0))), chunk)
    losses = ops.swapaxes(losses_of(parts, table, bias), 0, 1)  # B parts chunk
    return ops.reshape(losses, (-1, length + missing))[:, :length]


def _in_parts(x, chunk):
    """Returns `(B, T, ...)` as `(parts, B, chunk, ...)`: the batch stays whole, so it may be spread."""
    return ops.swapaxes(ops.reshape(x, (-1, x.shape[1] // chunk, chunk, *x.shape[2:])), 0, 1)


def _logits(answers, table, bias):
    """Returns scores `(B, chunk, V)`, float32."""
    scores = ops.matmul(answers, ops.transpose(ops.cast(table, answers.dtype)))
    return ops.cast(scores + ops.cast(bias, answers.dtype), "float32")


def _entropy(answers, labels, table, bias):
    logits = _logits(answers, table, bias)
    right = ops.squeeze(ops.take_along_axis(logits, labels[..., None], axis=-1), -1)
    return ops.logsumexp(logits, axis=-1) - right


def _gradients(parts, table, bias, label_parts, upstream):
    """Returns those of the answers in parts, of the table and of the bias."""

    def add(index, sums):
        of_answers, of_table, of_bias = sums
        answers, labels, given = (ops.take(x, index, axis=0) for x in (parts, label_parts, upstream))
        wrong = ops.softmax(_logits(answers, table, bias)) - ops.one_hot(labels, table.shape[0])
        wrong = wrong * given[..., None]  # B chunk V
        rounded = ops.cast(wrong, answers.dtype)
        these = ops.matmul(rounded, ops.cast(table, answers.dtype))
        of_answers = ops.slice_update(of_answers, (index, 0, 0, 0), these[None])
        of_table = of_table + ops.cast(ops.einsum("btv,bte->ve", rounded, answers), "float32")
        return of_answers, of_table, of_bias + ops.sum(wrong, axis=(0, 1))

    zeros = ops.zeros_like(parts), ops.zeros(table.shape, "float32"), ops.zeros(bias.shape, "float32")
    of_answers, of_table, of_bias = ops.fori_loop(0, parts.shape[0], add, zeros)
    return of_answers, ops.cast(of_table, table.dtype), ops.cast(of_bias, bias.dtype)


def _check(answers, table, bias, labels, chunk):
    if chunk < 1:
        raise ValueError(f"`chunk` must be positive. Received: chunk={chunk}")
    shapes = [tuple(x.shape) for x in (answers, table, bias, labels)]
    ranks = [len(shape) for shape in shapes]
    if ranks != [3, 2, 1, 2] or (shapes[1][1], shapes[2], shapes[3][1]) != (
        shapes[0][2],
        shapes[1][:1],
        shapes[0][1],
    ):
        raise ValueError(
            "`answers`, `table`, `bias` and `labels` must be (batch, length, channels), (ids, channels), "
            f"(ids,) and (batch, length). Received: {', '.join(map(str, shapes))}"
        )
