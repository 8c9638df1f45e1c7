"""How well a selection agrees with the one that was made, and what no model is needed for."""

from __future__ import annotations

from typing import Any

import numpy as np

from zorro_keras import metrics


def selection_scores(logits: np.ndarray, selected: np.ndarray, real: np.ndarray) -> dict[str, float]:
    """Returns the figures of a model's selection.

    Args:
        logits: float `(N, M)`; a unit is selected where they are positive.
        selected: bool `(N, M)`, the selection that was made.
        real: bool `(N, M)`. What is False never counts; battles without a real unit are left out.

    Returns:
        Dict with `unit_accuracy`, the share of units decided rightly; `exact_selection`, the share of battles
        without a wrong unit; `precision`, `recall`, `f1` and `average_precision` of selected units, over all
        battles together. Precision is 0 where nothing is selected, recall where nothing was to be.
    """
    chosen = (logits > 0) & real
    hits = float((chosen & selected & real).sum())
    there = real.any(axis=1)
    right = ((chosen == selected) | ~real).all(axis=1)
    labels = selected[real].astype(int)
    scores = {
        "unit_accuracy": float((chosen == selected)[real].mean()),
        "exact_selection": float(right[there].mean()),
        "precision": hits / max(float(chosen.sum()), 1.0),
        "recall": hits / max(float((selected & real).sum()), 1.0),
        "f1": metrics.f1_score(labels, np.stack([-logits[real], logits[real]], axis=1)),
        "average_precision": 0.0,
    }
    if labels.any():
        found = metrics.average_precision(labels[:, None], logits[real][:, None])
        scores["average_precision"] = float(found[0])
    return scores


def chance_scores(selected: np.ndarray, real: np.ndarray) -> dict[str, dict[str, float]]:
    """Returns the same figures for selections that look at no unit: none, all, and each with even odds.

    Args:
        selected, real: as for `selection_scores`.
    """
    even = np.random.default_rng(0).random(real.shape) - 0.5
    fixed = {"nothing": np.full(real.shape, -1.0), "everything": np.ones(real.shape), "even_odds": even}
    return {name: selection_scores(logits, selected, real) for name, logits in fixed.items()}


def rounded(figures: dict[str, Any]) -> dict[str, Any]:
    """Returns the figures with six decimals."""
    return {name: round(value, 6) for name, value in figures.items()}
