"""Which ids are hidden: whole words at random, or the marks that a person wrote into a text."""

from __future__ import annotations

import math
import re

import numpy as np

from zorro_keras.applications.pipelines.text_tokens import MASK, NUM_SPECIALS, Tokenizer

MARK = re.compile(r"\[MASK(?:\*(\d{1,4}))?\]")


def mask_words(
    ids: np.ndarray, tokenizer: Tokenizer, rate: float, draws: np.ndarray, most: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Hides whole words, each with probability `rate`, and the whitespace before each.

    Args:
        ids: int32 `(B, T)`. Specials, padding among them, are never hidden.
        tokenizer: says where words start.
        rate: float in [0, 1].
        draws: uniform floats in [0, 1), `(B, T)`: the first of each row is for its first word, and so on.
        most: optional int >= 0, ids of a row that may be hidden. Where words drawn have more, those of the
            largest draws stay visible.

    Returns:
        The ids with MASK in place of what is hidden, and bool `(B, T)`, True where something is.

    Reference:
        Perceiver IO, arXiv 2107.14795, appendix on language: words are split at whitespace, and all bytes of
        a word are masked. That the whitespace before a word goes with it is read off the released demo.
    """
    words = np.cumsum(tokenizer.word_starts(ids), axis=1)
    words -= words[:, :1]
    hidden = (np.take_along_axis(draws, words, axis=1) < rate) & (ids >= NUM_SPECIALS)
    if most is not None:
        hidden = _fewer_words(hidden, words, draws, most)
    return np.where(hidden, MASK, ids).astype(np.int32), hidden


def room_for_hidden(length: int, rate: float) -> int:
    """Returns how many hidden ids a row of `length` ids is given room for: twice those expected, and 16.

    A multiple of 8, but for rows that are shorter: kernels of accelerators ask for it, and an odd number
    keeps JAX from cuDNN's attention.
    """
    return min(length, 8 * math.ceil((2 * rate * length + 16) / 8))


def hidden_first(hidden: np.ndarray, count: int) -> np.ndarray:
    """Returns the places of what is hidden, int32 `(B, count)`, in their order; 0 where there are no more.

    Args:
        hidden: bool `(B, T)`, at most `count` of a row.
        count: int.
    """
    places = np.argsort(~hidden, axis=1, kind="stable")[:, :count]
    return np.where(np.take_along_axis(hidden, places, axis=1), places, 0).astype(np.int32)


def _fewer_words(hidden: np.ndarray, words: np.ndarray, draws: np.ndarray, most: int) -> np.ndarray:
    """Returns what is hidden, without the words of the largest draws in rows that hide more than `most`."""
    hidden = hidden.copy()
    for row in np.flatnonzero(hidden.sum(axis=1) > most):
        for word in np.argsort(-draws[row, : words[row, -1] + 1], kind="stable"):
            if hidden[row].sum() <= most:
                break
            hidden[row, words[row] == word] = False
    return hidden


def encode_marked(text: str, tokenizer: Tokenizer) -> np.ndarray:
    """Turns a text with marks into ids.

    Args:
        text: str. `[MASK]` stands for one hidden id, `[MASK*9]` for nine in a row: nine bytes, or nine pieces
            of a SentencePiece model. A hidden word is best hidden with the space before it; to the pieces of
            a SentencePiece model, each with the space before it, a space in front of a mark means nothing.
        tokenizer: for the rest of the text.

    Returns:
        int32 `(T,)`.
    """
    parts, end = [], 0
    encode = tokenizer.encode
    for mark in MARK.finditer(text):
        parts.append(encode(text[end : mark.start()]))
        parts.append(np.full(int(mark.group(1) or 1), MASK, np.int32))
        end, encode = mark.end(), tokenizer.encode_rest
    return np.concatenate([*parts, encode(text[end:])]).astype(np.int32)
