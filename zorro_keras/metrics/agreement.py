"""Exact figures of how well classes agree, beyond the share of hits: F1 and Matthews correlation."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from zorro_keras.metrics.classification import confusion_matrix


def f1_score(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None, positive: int = 1
) -> float:
    """Harmonic mean of precision and recall of one class.

    Args:
        y_true: `(B, K)` one-hot, or `(B,)` integer classes.
        y_pred: `(B, K)` scores; the highest is the class answered, ties go to the lowest index.
        sample_weight: optional `(B,)`, at least 0.
        positive: int in [0, K), the class.

    Returns:
        float in [0, 1]: 0 where the class is never hit; NaN if no example has weight.

    Raises:
        ValueError: if shapes do not fit, a score is NaN, or a class is out of range.
    """
    matrix = confusion_matrix(y_true, y_pred, sample_weight)
    if not 0 <= positive < len(matrix):
        raise ValueError(f"`positive` must lie within [0, {len(matrix)}). Received: positive={positive}")
    if matrix.sum() == 0:
        return float("nan")
    return float(_f1_by_class(matrix)[positive])


def macro_f1_score(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Mean of the F1 of each class that occurs, among the labels or among the answers.

    Args:
        y_true: `(B, K)` one-hot, or `(B,)` integer classes.
        y_pred: `(B, K)` scores.
        sample_weight: optional `(B,)`, at least 0.

    Returns:
        float in [0, 1]; NaN if no example has weight.

    Raises:
        ValueError: if shapes do not fit, a score is NaN, or a class is out of range.
    """
    matrix = confusion_matrix(y_true, y_pred, sample_weight)
    occurs = matrix.sum(axis=0) + matrix.sum(axis=1) > 0
    return float(_f1_by_class(matrix)[occurs].mean()) if occurs.any() else float("nan")


def matthews_correlation(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
) -> float:
    """Correlation between labels and answers as classes; for two classes Matthews' phi.

    Args:
        y_true: `(B, K)` one-hot, or `(B,)` integer classes.
        y_pred: `(B, K)` scores.
        sample_weight: optional `(B,)`, at least 0.

    Returns:
        float in [-1, 1]: 0 where all labels or all answers are one class; NaN if no example has weight.

    Raises:
        ValueError: if shapes do not fit, a score is NaN, or a class is out of range.

    Reference:
        Matthews, BBA 405 (1975); for more than two classes Gorodkin's R_K, Comput. Biol. Chem. 28 (2004).
    """
    matrix = confusion_matrix(y_true, y_pred, sample_weight)
    total = matrix.sum()
    if total == 0:
        return float("nan")
    matrix = matrix / total  # so that weights of any size neither overflow nor vanish
    true, answered = matrix.sum(axis=1), matrix.sum(axis=0)
    covariance = np.trace(matrix) - true @ answered
    spread = (1.0 - true @ true) * (1.0 - answered @ answered)
    # One class alone leaves a spread of rounding errors, which is no spread.
    if (true > 0).sum() == 1 or (answered > 0).sum() == 1:
        return 0.0
    return float(np.clip(covariance / np.sqrt(spread), -1.0, 1.0))


def _f1_by_class(matrix: np.ndarray) -> np.ndarray:
    """`(K,)`: 2 hits / (labels + answers), 0 for a class that does not occur."""
    hits, occurrences = np.diag(matrix), matrix.sum(axis=0) + matrix.sum(axis=1)
    return np.divide(2 * hits, occurrences, out=np.zeros(len(matrix)), where=occurrences > 0)
