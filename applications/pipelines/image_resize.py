"""Bicubic resizing as a matrix, so that every backend computes the same."""

from __future__ import annotations

import numpy as np


def bicubic_matrix(size_in: int, size_out: int) -> np.ndarray:
    """The weights of `size_in` samples in each of `size_out`.

    Args:
        size_in, size_out: int >= 1.

    Returns:
        float32 `(size_out, size_in)`, each row of sum 1: Keys' cubic (a = -1/2) of the four nearest samples,
        pixels as areas, weights beyond the border dropped; what `tf.image.resize` computes as "bicubic"
        without anti-aliasing.
    """
    centres = (np.arange(size_out) + 0.5) * size_in / size_out - 0.5
    distance = np.abs(centres[:, None] - np.arange(size_in)[None])
    near = (1.5 * distance - 2.5) * distance**2 + 1.0
    far = ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0
    weights = np.where(distance <= 1.0, near, np.where(distance < 2.0, far, 0.0))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
