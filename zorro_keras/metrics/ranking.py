"""Exact ranking metrics per class, for any number of labels per example."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from zorro_keras.metrics.arrays import as_scores, as_targets, as_weights


def average_precision(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
) -> np.ndarray:
    """Area under the precision-recall steps of each class: the sum of precision times gain in recall.

    Examples with equal scores enter together, so the order of the rows never matters.

    Args:
        y_true: `(B, K)` of 0 and 1.
        y_pred: `(B, K)` scores; only their order within a class counts.
        sample_weight: optional `(B,)`, at least 0.

    Returns:
        `(K,)` float64 in [0, 1]; NaN for a class without positive examples.

    Raises:
        ValueError: if shapes do not fit, a score is NaN, or a target is neither 0 nor 1.
    """
    return _per_class(_average_precision, y_true, y_pred, sample_weight)


def roc_auc(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> np.ndarray:
    """Probability, per class, that a positive example scores above a negative one; equal scores count half.

    Args:
        y_true: `(B, K)` of 0 and 1.
        y_pred: `(B, K)` scores.
        sample_weight: optional `(B,)`, at least 0.

    Returns:
        `(K,)` float64 in [0, 1]; NaN for a class without positive or without negative examples.

    Raises:
        ValueError: if shapes do not fit, a score is NaN, or a target is neither 0 nor 1.
    """
    return _per_class(_roc_auc, y_true, y_pred, sample_weight)


def mean_average_precision(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
) -> float:
    """Mean of `average_precision` over the classes that have positive examples; NaN if none has."""
    return _mean_defined(average_precision(y_true, y_pred, sample_weight))


def mean_roc_auc(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Mean of `roc_auc` over the classes where it is defined; NaN if nowhere."""
    return _mean_defined(roc_auc(y_true, y_pred, sample_weight))


def d_prime(auc: float) -> float:
    """Sensitivity index of an area under the ROC curve: sqrt(2) times its normal quantile.

    Args:
        auc: float in [0, 1]. For AudioSet's figure, the mean over classes.

    Returns:
        float: 0 at 0.5, minus or plus infinity at 0 and 1, NaN at NaN.

    Raises:
        ValueError: if `auc` lies outside [0, 1].

    Reference: Gemmeke et al., Audio Set, ICASSP 2017, section 4.
    """
    if np.isnan(auc):
        return float("nan")
    if not 0.0 <= auc <= 1.0:
        raise ValueError(f"`auc` must be within [0, 1]. Received: auc={auc}")
    if auc in (0.0, 1.0):
        return float("inf") if auc else float("-inf")
    return 2**0.5 * NormalDist().inv_cdf(float(auc))


def _per_class(
    metric: Callable[[np.ndarray, np.ndarray, np.ndarray], float],
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sample_weight: ArrayLike | None,
) -> np.ndarray:
    scores = as_scores(y_pred)
    targets = as_targets(y_true, scores.shape)
    weight = as_weights(sample_weight, len(scores))
    counted = weight > 0
    scores, targets, weight = scores[counted], targets[counted], weight[counted]
    return np.array([metric(targets[:, k], scores[:, k], weight) for k in range(scores.shape[1])])


def _weight_above(
    targets: np.ndarray, scores: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Positive and negative weight at or above each distinct score, from the highest score down."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)  # last of each run of ties
    positive = np.cumsum(np.where(targets, weight, 0.0)[order])[ends]
    negative = np.cumsum(np.where(targets, 0.0, weight)[order])[ends]
    return positive, negative


def _average_precision(targets: np.ndarray, scores: np.ndarray, weight: np.ndarray) -> float:
    if not targets.any():
        return float("nan")
    positive, negative = _weight_above(targets, scores, weight)
    precision = positive / (positive + negative)
    recall_gain = np.diff(positive, prepend=0.0) / positive[-1]
    return float((precision * recall_gain).sum())


def _roc_auc(targets: np.ndarray, scores: np.ndarray, weight: np.ndarray) -> float:
    if not targets.any() or targets.all():
        return float("nan")
    positive, negative = _weight_above(targets, scores, weight)
    gained = np.diff(positive, prepend=0.0)
    # Negatives strictly below each run of positives, and half of those that tie with it.
    below = negative[-1] - negative + np.diff(negative, prepend=0.0) / 2
    return float((gained * below).sum() / (positive[-1] * negative[-1]))


def _mean_defined(values: np.ndarray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")
