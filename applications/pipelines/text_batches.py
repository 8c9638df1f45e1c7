"""Texts of any lengths as arrays of few shapes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zorro_keras.applications.pipelines.text_tokens import PAD

BUCKETS = (128, 256, 512, 1024, 2048)


def bucket_length(length: int, longest: int, buckets: Sequence[int] = BUCKETS) -> int:
    """The length that a text of `length` ids is padded to.

    Args:
        length: int >= 0.
        longest: int. The model's own length: no text is longer, and it is a bucket too.
        buckets: ascending ints.

    Returns:
        The first bucket below `longest` that holds the text, or `longest`.

    Raises:
        ValueError: if the text is longer than `longest`.
    """
    if length > longest:
        raise ValueError(f"`length` must be at most {longest}. Received: length={length}")
    return next((bucket for bucket in buckets if length <= bucket < longest), longest)


def pad_texts(
    texts: Sequence[np.ndarray], longest: int, *, length: int | None = None
) -> dict[str, np.ndarray | dict[str, np.ndarray]]:
    """One batch: texts are cut to the model's length and padded to one bucket.

    Args:
        texts: B arrays of ids, each `(T_i,)`.
        longest: int. The model's own length; what is longer is cut.
        length: optional int, T. Pads to this length in place of the bucket of the longest text, so that every
            batch has one shape.

    Returns:
        Dict with `text`, int32 `(B, T)`, and `padding_mask`, a dict with `text`, bool `(B, T)`: True = real.

    Raises:
        ValueError: if `length` is more than `longest`.
    """
    if length is not None and length > longest:
        raise ValueError(f"`length` must be at most {longest}. Received: length={length}")
    longest = longest if length is None else length
    sizes = [min(len(text), longest) for text in texts]
    width = bucket_length(max(sizes, default=0), longest) if length is None else length
    ids = np.full((len(texts), width), PAD, np.int32)
    for row, (text, size) in enumerate(zip(texts, sizes, strict=True)):
        ids[row, :size] = text[:size]
    return {"text": ids, "padding_mask": {"text": np.arange(width) < np.array(sizes)[:, None]}}
