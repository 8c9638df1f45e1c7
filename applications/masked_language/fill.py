"""Fills what is hidden in a text: the most probable completions, found by a beam search."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from zorro_keras.applications.masked_language.masked_language_model import MaskedLanguageModel
from zorro_keras.applications.pipelines.text_tokens import MASK, Tokenizer


@dataclass(frozen=True)
class Completion:
    """One way to fill a text.

    Attributes:
        text: str. The whole text.
        spans: tuple of str. What stands in each hidden span, in order.
        probability: float in [0, 1]. Product over the hidden ids of the model's probability for each, given
            the text and the ids filled before it.
    """

    text: str
    spans: tuple[str, ...]
    probability: float


def fill_in(model: MaskedLanguageModel, text: str, top: int = 5) -> list[Completion]:
    """Returns the best completions of a text, the most probable first.

    Hidden ids are filled from left to right and the model is asked again after each, so that the bytes of a
    word fit each other; `top` partial completions are kept at a time. Only ids that stand for text are
    filled in: neither specials nor a SentencePiece model's own, such as the one for unknown pieces.

    Args:
        model: `MaskedLanguageModel` with a preprocessor.
        text: str with marks: `[MASK]` for one hidden id, `[MASK*9]` for nine in a row.
        top: int >= 1.

    Raises:
        ValueError: if `top` is not positive, or the text has no mark or is longer than the model.
    """
    if top < 1:
        raise ValueError(f"`top` must be positive. Received: top={top}")
    x = model.preprocessor.encode_marked([text])
    places = np.flatnonzero(x["text"][0] == MASK)
    if not len(places):
        raise ValueError(f"`text` must hold `[MASK]`, or `[MASK*9]` for nine ids. Received: {text!r}")
    ids, real = (np.repeat(array, top, axis=0) for array in (x["text"], x["padding_mask"]["text"]))
    scores = np.full(top, -np.inf)
    fillable = np.flatnonzero(model.preprocessor.tokens.is_text())
    scores[0] = 0.0  # all rows are the same text yet: only one of them may go on
    for place in places:
        inputs = {"text": ids, "padding_mask": {"text": real}}
        logits = keras.Model.predict_on_batch(model, inputs)["text"][:, place, fillable]
        reached = scores[:, None] + _log_softmax(np.asarray(logits, np.float64))
        best = np.argsort(-reached, axis=None, kind="stable")[:top]
        rows, filled = np.unravel_index(best, reached.shape)
        ids, scores = ids[rows], reached[rows, filled]
        ids[:, place] = fillable[filled]
    return [
        _completion(row, places, float(np.exp(score)), model.preprocessor.tokens)
        for row, score in zip(ids, scores, strict=True)
        if np.isfinite(score)
    ]


def _completion(ids: np.ndarray, places: np.ndarray, probability: float, tokenizer: Tokenizer) -> Completion:
    spans = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
    return Completion(
        tokenizer.decode(ids), tuple(tokenizer.decode(ids[span]) for span in spans), probability
    )


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
