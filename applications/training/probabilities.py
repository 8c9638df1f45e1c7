"""From logits to probabilities, in numpy."""

from __future__ import annotations

import numpy as np


def to_probabilities(logits: np.ndarray, *, multi_label: bool) -> np.ndarray:
    """Returns float64 like `logits`: a softmax over the last axis, or sigmoids for several labels."""
    logits = np.asarray(logits, np.float64)
    if multi_label:
        return 0.5 * (1.0 + np.tanh(0.5 * logits))
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
