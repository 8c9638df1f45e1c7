"""The noise-contrastive loss: which of all the others belongs to this one?"""

from keras import ops

LEAST_SQUARE = 1e-12  # below any embedding's that means something; it keeps zero from dividing zero
NEVER = -1e30  # the logit of a key that an example lacks


def noise_contrastive_losses(first, second, temperature=0.07, present=None):
    """Returns how badly each example's two embeddings find one another in the batch, both ways averaged.

    Embeddings are compared by their cosine over the temperature. Of each, the other one of the same example
    is the right answer, and those of all other examples are wrong ones: a softmax over the batch, once over
    the rows and once over the columns. All of it is float32, whatever the embeddings are. Where the batch is
    spread over devices as one array, its negatives are those of all devices; replicas that each have a share
    of it gather their embeddings first, as `AudioVisualPretrainer` does.

    Args:
        first, second: float tensors `(B, D)`, of any length.
        temperature: float or scalar tensor > 0.
        present: bool tensor `(B,)`, True where the example has both; `None` for all. One that has not both is
            nobody's answer, and may hold anything.

    Returns:
        Tensor `(B,)`, float32, at least 0; zero where `present` is False.

    Raises:
        ValueError: unless both are of one shape and rank 2.

    Example:

    ```python
    losses = zk.losses.noise_contrastive_losses(audio, video, present=has_both)
    loss = ops.sum(losses) / ops.maximum(ops.sum(ops.cast(has_both, "float32")), 1.0)
    ```

    Reference:
        InfoNCE, arXiv 1807.03748; symmetric and over cosines as in CLIP, arXiv 2103.00020. Zorro, arXiv
        2301.09595, trains by such losses between audio and video, and between each and fusion; its
        temperature is not known, 0.07 is CLIP's first one.
    """
    first, second = ops.convert_to_tensor(first), ops.convert_to_tensor(second)
    if len(first.shape) != 2 or tuple(first.shape) != tuple(second.shape):
        raise ValueError(
            "`first` and `second` must be of one shape (batch, channels). "
            f"Received: {tuple(first.shape)} and {tuple(second.shape)}"
        )
    if present is not None:
        # Replaced, not multiplied: what an example lacks may be NaN.
        first, second = (ops.where(present[:, None], x, ops.zeros_like(x)) for x in (first, second))
    logits = ops.matmul(unit_length(first), ops.transpose(unit_length(second))) / temperature  # B B
    right = ops.diagonal(logits)
    if present is None:
        return (ops.logsumexp(logits, axis=1) + ops.logsumexp(logits, axis=0)) / 2 - right
    of_second = ops.logsumexp(ops.where(present[None], logits, NEVER), axis=1)
    of_first = ops.logsumexp(ops.where(present[:, None], logits, NEVER), axis=0)
    return ops.where(present, (of_second + of_first) / 2 - right, ops.zeros_like(right))


def unit_length(x):
    """Returns embeddings `(B, D)` with length one, float32; zero stays zero, and its gradient finite."""
    x = ops.cast(x, "float32")
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=1, keepdims=True), LEAST_SQUARE))
