"""How far a reconstruction is from the original: numpy in, a number in decibels out."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from zorro_keras.metrics.arrays import as_weights

# A silent clip answered by silence has no error at all: without a bound it would make every mean infinite.
MOST_DECIBELS = 100.0


def decibels(mean_squared_error: ArrayLike, peak: float = 1.0) -> np.ndarray:
    """Peak signal-to-noise ratio of mean squared errors, element by element.

    Args:
        mean_squared_error: floats, at least 0.
        peak: float > 0. The largest value that the signal can have: 1 for pictures in [0, 1] and for
            waveforms in [-1, 1].

    Returns:
        float64 array of the same shape, in dB, at most 100.

    Raises:
        ValueError: if an error is negative or NaN, or `peak` is not positive.
    """
    error = np.asarray(mean_squared_error, dtype=np.float64)
    if not peak > 0 or not (error >= 0).all():
        raise ValueError(
            "`peak` must be positive and `mean_squared_error` at least 0. "
            f"Received: peak={peak}, mean_squared_error={mean_squared_error}"
        )
    return -10.0 * np.log10(np.maximum(error / peak**2, 10.0 ** (-MOST_DECIBELS / 10.0)))


def peak_signal_to_noise_ratio(
    y_true: ArrayLike, y_pred: ArrayLike, peak: float = 1.0, sample_weight: ArrayLike | None = None
) -> float:
    """Mean over examples of the peak signal-to-noise ratio of each.

    Args:
        y_true: `(B, ...)` originals.
        y_pred: `(B, ...)` reconstructions.
        peak: float > 0. The largest value that the signal can have.
        sample_weight: optional `(B,)`, at least 0. Examples of weight 0 do not count.

    Returns:
        float, in dB, each example at most 100; NaN if no example has weight.

    Raises:
        ValueError: if the shapes differ, or a number that counts is not finite.
    """
    true, predicted = (np.asarray(values, dtype=np.float64) for values in (y_true, y_pred))
    if true.ndim < 2 or predicted.shape != true.shape:
        raise ValueError(
            "`y_true` and `y_pred` must both have shape (B, ...). "
            f"Received: shapes {true.shape} and {predicted.shape}"
        )
    weight = as_weights(sample_weight, len(true))
    if not weight.any():
        return float("nan")
    used = weight > 0
    error = np.square(true[used] - predicted[used]).mean(axis=tuple(range(1, true.ndim)))
    return float(np.average(decibels(error, peak), weights=weight[used]))
