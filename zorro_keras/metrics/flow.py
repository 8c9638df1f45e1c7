"""Exact metrics of optical flow: numpy in, numbers out."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

# The published ranges of speed, in pixels from frame to frame: MPI Sintel.
SPEEDS_PX = {"s0_10": (0.0, 10.0), "s10_40": (10.0, 40.0), "s40_plus": (40.0, np.inf)}


def end_point_errors(y_true: ArrayLike, y_pred: ArrayLike) -> np.ndarray:
    """How far each vector ends from where it should.

    Args:
        y_true: `(..., 2)`, pixels.
        y_pred: of the same shape.

    Returns:
        float64 `(...)`, pixels; NaN where either is.

    Raises:
        ValueError: if shapes do not fit.
    """
    true, predicted = _as_flows(y_true, y_pred)
    return np.hypot(*np.moveaxis(predicted - true, -1, 0))


def end_point_error(y_true: ArrayLike, y_pred: ArrayLike, mask: ArrayLike | None = None) -> float:
    """Mean of the end-point errors over the pixels that count.

    Args:
        y_true: `(..., 2)`, pixels. May hold anything where the mask is False.
        y_pred: of the same shape.
        mask: optional bool `(...)`, True = counts.

    Returns:
        float, pixels; NaN if no pixel counts.

    Raises:
        ValueError: if shapes do not fit, or a vector that counts is not finite.
    """
    errors = _counted(y_true, y_pred, mask)[0]
    return float(errors.mean()) if errors.size else float("nan")


def fl_all(y_true: ArrayLike, y_pred: ArrayLike, mask: ArrayLike | None = None) -> float:
    """Share of outliers: vectors that are off by more than 3 px and by more than 5 % of the true length.

    Args:
        y_true: `(..., 2)`, pixels.
        y_pred: of the same shape.
        mask: optional bool `(...)`, True = counts.

    Returns:
        float in [0, 1]; NaN if no pixel counts.

    Raises:
        ValueError: if shapes do not fit, or a vector that counts is not finite.

    Reference:
        KITTI 2015, Menze and Geiger, CVPR 2015, and its development kit.
    """
    errors, lengths = _counted(y_true, y_pred, mask)
    outliers = (errors > 3.0) & (errors > 0.05 * lengths)
    return float(outliers.mean()) if outliers.size else float("nan")


def flow_regions(
    y_true: ArrayLike, mask: ArrayLike | None = None, matched: ArrayLike | None = None
) -> dict[str, np.ndarray]:
    """The parts of a picture that are measured apart.

    Args:
        y_true: `(..., 2)`, pixels.
        mask: optional bool `(...)`, True = counts at all.
        matched: optional bool `(...)`, True = seen in both frames.

    Returns:
        Dict of bool `(...)`: `all`; `s0_10`, `s10_40` and `s40_plus`, by true speed in pixels, the lower
        bound included; and where `matched` is given, `matched` and `unmatched`.

    Raises:
        ValueError: if shapes do not fit, or a mask is not bool.

    Reference:
        MPI Sintel, Butler et al., ECCV 2012.
    """
    true, _ = _as_flows(y_true, y_true)
    counts = _as_mask("mask", mask, true.shape[:-1])
    speed = np.hypot(*np.moveaxis(true, -1, 0))
    regions = {"all": counts}
    for name, (low, high) in SPEEDS_PX.items():
        regions[name] = counts & (speed >= low) & (speed < high)
    if matched is not None:
        seen = _as_mask("matched", matched, true.shape[:-1])
        regions |= {"matched": counts & seen, "unmatched": counts & ~seen}
    return regions


def _counted(y_true: ArrayLike, y_pred: ArrayLike, mask: ArrayLike | None) -> tuple[np.ndarray, np.ndarray]:
    """Errors and true lengths of the vectors that count, `(N,)` each."""
    true, predicted = _as_flows(y_true, y_pred)
    counts = _as_mask("mask", mask, true.shape[:-1])
    true, predicted = true[counts], predicted[counts]
    for name, values in (("y_true", true), ("y_pred", predicted)):
        if not np.isfinite(values).all():
            raise ValueError(f"`{name}` must be finite where it counts. Received: NaN or infinity")
    return np.hypot(*(predicted - true).T), np.hypot(*true.T)


def _as_flows(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    true, predicted = (np.asarray(values, dtype=np.float64) for values in (y_true, y_pred))
    if true.ndim < 1 or true.shape[-1] != 2 or predicted.shape != true.shape:
        raise ValueError(
            f"`y_true` and `y_pred` must both have shape (..., 2). Received: shapes {true.shape} and "
            f"{predicted.shape}"
        )
    return true, predicted


def _as_mask(name: str, mask: ArrayLike | None, shape: tuple[int, ...]) -> np.ndarray:
    if mask is None:
        return np.ones(shape, bool)
    found = np.asarray(mask)
    if found.shape != shape or found.dtype != bool:
        raise ValueError(
            f"`{name}` must be bool of shape {shape}. Received: {found.dtype} of shape {found.shape}"
        )
    return found
