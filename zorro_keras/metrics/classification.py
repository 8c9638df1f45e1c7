"""Exact classification metrics of one label per example: numpy in, a number out."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from zorro_keras.metrics.arrays import as_scores, as_weights


def accuracy(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Share of examples whose highest score is their label. Ties go to the lowest class index.

    Args:
        y_true: `(B, K)` one-hot, or `(B,)` integer classes.
        y_pred: `(B, K)` scores: logits or probabilities.
        sample_weight: optional `(B,)`, at least 0. Examples of weight 0 do not count.

    Returns:
        float in [0, 1]; NaN if no example has weight.

    Raises:
        ValueError: if shapes do not fit, a score is NaN, or a class is out of range.
    """
    return top_k_accuracy(y_true, y_pred, 1, sample_weight)


def top_k_accuracy(
    y_true: ArrayLike, y_pred: ArrayLike, k: int = 5, sample_weight: ArrayLike | None = None
) -> float:
    """Share of examples whose label is among the `k` highest scores. Ties go to the lower class index.

    With fewer than `k` classes every example counts.

    Args:
        y_true: `(B, K)` one-hot, or `(B,)` integer classes.
        y_pred: `(B, K)` scores.
        k: int >= 1.
        sample_weight: optional `(B,)`, at least 0.

    Returns:
        float in [0, 1]; NaN if no example has weight.

    Raises:
        ValueError: if shapes do not fit, a score is NaN, a class is out of range, or `k` is below 1.
    """
    if k < 1:
        raise ValueError(f"`k` must be at least 1. Received: k={k}")
    scores = as_scores(y_pred)
    classes = _classes(y_true, scores)
    weight = as_weights(sample_weight, len(scores))
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return _mean((best == classes[:, None]).any(axis=1), weight)


def confusion_matrix(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
) -> np.ndarray:
    """Counts (sums of weights) by true class and by class of the highest score.

    Args:
        y_true: `(B, K)` one-hot, or `(B,)` integer classes.
        y_pred: `(B, K)` scores.
        sample_weight: optional `(B,)`, at least 0.

    Returns:
        `(K, K)` float64: entry `[i, j]` is the weight of class `i` taken for class `j`.

    Raises:
        ValueError: if shapes do not fit, a score is NaN, or a class is out of range.
    """
    scores = as_scores(y_pred)
    classes = _classes(y_true, scores)
    weight = as_weights(sample_weight, len(scores))
    num_classes = scores.shape[1]
    matrix = np.zeros((num_classes, num_classes))
    np.add.at(matrix, (classes, scores.argmax(axis=1)), weight)
    return matrix


def _classes(y_true: ArrayLike, scores: np.ndarray) -> np.ndarray:
    """`y_true` as `(B,)` class indices."""
    labels = np.asarray(y_true)
    batch, num_classes = scores.shape
    if labels.shape == (batch, num_classes):
        one_hot = ((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all()
        if not one_hot:
            raise ValueError("`y_true` of shape (B, K) must be one-hot. Received: rows that are not")
        return labels.argmax(axis=1)
    if labels.shape != (batch,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"`y_true` must be one-hot {scores.shape} or integer ({batch},). "
            f"Received: y_true of shape {labels.shape}, dtype {labels.dtype}"
        )
    outside = labels[(labels < 0) | (labels >= num_classes)]
    if outside.size:
        raise ValueError(f"`y_true` must lie within [0, {num_classes}). Received: {outside[0]}")
    return labels


def _mean(values: np.ndarray, weight: np.ndarray) -> float:
    total = weight.sum()
    return float((values * weight).sum() / total) if total > 0 else float("nan")
