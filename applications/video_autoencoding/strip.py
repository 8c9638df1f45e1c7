"""Frames of a clip above what was made of them, as one picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

_LEAST_HEIGHT_PX, _GAP_PX = 96, 4


def comparison_strip(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> bytes:
    """Returns a PNG: the originals in the first row, the rebuilt frames below them.

    Args:
        pairs: frames uint8 `(Y, X, 3)`, all of one size: the original, and what was made of it. Small ones
            are enlarged by whole pixels.
    """
    zoom = -(-_LEAST_HEIGHT_PX // pairs[0][0].shape[0])
    columns = [np.concatenate([_framed(frame, zoom) for frame in pair]) for pair in pairs]
    return tf.io.encode_png(np.concatenate(columns, axis=1)).numpy()


def _framed(frame: np.ndarray, zoom: int) -> np.ndarray:
    frame = frame.repeat(zoom, axis=0).repeat(zoom, axis=1)
    return np.pad(frame, ((0, _GAP_PX), (0, _GAP_PX), (0, 0)), constant_values=255)
