"""Frames of clips above what was made of them, as one picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

_LEAST_HEIGHT_PX, _GAP_PX = 96, 4


def comparison_strip(columns: Sequence[Sequence[np.ndarray]]) -> bytes:
    """Returns a PNG: a column for each frame, the original first, and what was made of it below.

    Args:
        columns: sequence of sequences of frames uint8 `(Y, X, 3)`, all of one size and each as long. Small
            frames are enlarged by whole pixels.
    """
    zoom = -(-_LEAST_HEIGHT_PX // columns[0][0].shape[0])
    columns = [np.concatenate([_framed(frame, zoom) for frame in column]) for column in columns]
    return tf.io.encode_png(np.concatenate(columns, axis=1)).numpy()


def _framed(frame: np.ndarray, zoom: int) -> np.ndarray:
    frame = frame.repeat(zoom, axis=0).repeat(zoom, axis=1)
    return np.pad(frame, ((0, _GAP_PX), (0, _GAP_PX), (0, 0)), constant_values=255)
