"""Checks the arrays every metric takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def as_scores(y_pred: ArrayLike) -> np.ndarray:
    """`y_pred` as float64 `(B, K)` without NaN, or ValueError."""
    scores = np.asarray(y_pred, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[1] == 0:
        raise ValueError(f"`y_pred` must have shape (B, K), K >= 1. Received: y_pred of shape {scores.shape}")
    if np.isnan(scores).any():
        raise ValueError(
            f"`y_pred` must not hold NaN. Received: NaN in {int(np.isnan(scores).any(1).sum())} rows"
        )
    return scores


def as_targets(y_true: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    """`y_true` as bool `(B, K)`, True where the class is present, or ValueError."""
    targets = np.asarray(y_true)
    if targets.shape != shape:
        raise ValueError(
            f"`y_true` must have the shape of `y_pred`, {shape}. Received: y_true of shape {targets.shape}"
        )
    if not ((targets == 0) | (targets == 1)).all():
        raise ValueError("`y_true` must hold 0 and 1 only. Received: other values")
    return targets.astype(bool)


def as_weights(sample_weight: ArrayLike | None, batch: int) -> np.ndarray:
    """`sample_weight` as float64 `(B,)`, ones by default, or ValueError."""
    if sample_weight is None:
        return np.ones(batch)
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (batch,):
        raise ValueError(f"`sample_weight` must have shape ({batch},). Received: shape {weight.shape}")
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise ValueError("`sample_weight` must be finite and at least 0. Received: other values")
    return weight
