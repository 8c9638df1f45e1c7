"""Exact correlations of two series of numbers: numpy in, a number out."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from zorro_keras.metrics.arrays import as_weights


def pearson_correlation(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
) -> float:
    """Linear correlation.

    Args:
        y_true: `(B,)` finite numbers.
        y_pred: `(B,)` finite numbers.
        sample_weight: optional `(B,)`, at least 0.

    Returns:
        float in [-1, 1]; NaN where either series is constant, or no example has weight.

    Raises:
        ValueError: if shapes do not fit, or a number is not finite.
    """
    return _correlation(*_as_series(y_true, y_pred, sample_weight))


def spearman_correlation(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
) -> float:
    """Correlation of the ranks; equal numbers share the mean of their ranks.

    Args:
        y_true: `(B,)` finite numbers.
        y_pred: `(B,)` finite numbers.
        sample_weight: optional `(B,)`, at least 0. A weight of n counts like n equal examples.

    Returns:
        float in [-1, 1]; NaN where either series is constant, or no example has weight.

    Raises:
        ValueError: if shapes do not fit, or a number is not finite.
    """
    true, predicted, weight = _as_series(y_true, y_pred, sample_weight)
    return _correlation(_ranks(true, weight), _ranks(predicted, weight), weight)


def _as_series(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both series as float64 and their weights, without the examples of weight 0."""
    true, predicted = (np.asarray(values, dtype=np.float64) for values in (y_true, y_pred))
    if true.ndim != 1 or predicted.shape != true.shape:
        raise ValueError(
            "`y_true` and `y_pred` must both have shape (B,). "
            f"Received: shapes {true.shape} and {predicted.shape}"
        )
    for name, values in (("y_true", true), ("y_pred", predicted)):
        if not np.isfinite(values).all():
            raise ValueError(f"`{name}` must be finite. Received: NaN or infinity")
    weight = as_weights(sample_weight, len(true))
    counted = weight > 0
    return true[counted], predicted[counted], weight[counted]


def _correlation(true: np.ndarray, predicted: np.ndarray, weight: np.ndarray) -> float:
    # Compared as they are: differences from a rounded mean would give a constant series a spread.
    if not len(true) or (true == true[0]).all() or (predicted == predicted[0]).all():
        return float("nan")
    share = weight / weight.sum()
    true, predicted = (_standard(values, share) for values in (true, predicted))
    return float(np.clip((share * true * predicted).sum(), -1.0, 1.0))


def _standard(values: np.ndarray, share: np.ndarray) -> np.ndarray:
    """`values` minus their mean, over their standard deviation."""
    values = values - (share * values).sum()
    values = values / np.abs(values).max()  # squares of very large or small numbers leave float64's range
    return values / np.sqrt((share * values**2).sum())


def _ranks(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The weight below each value, plus half of the weight that equals it."""
    _, place = np.unique(values, return_inverse=True)
    at = np.bincount(place, weights=weight)
    return (np.cumsum(at) - at / 2)[place]
