"""Flow as people look at it: colours, and beside its frame."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import hsv_to_rgb

from zorro_keras.applications.pipelines.flow_field import FlowField

FULL_COLOUR_PX = 24.0  # the length at which colours are full, as published


def flow_colours(field: FlowField, *, full_px: float = FULL_COLOUR_PX) -> np.ndarray:
    """Paints flow by the colour wheel: hue is direction, saturation is length, no motion is white.

    In HSV: hue = angle (0 = to the right = red, a quarter of the circle = down), saturation =
    clip(length * 255 / 24, 0, 255), value = 255. What is not known is black.

    Args:
        field: `FlowField`.
        full_px: float, positive. Length of full saturation. A fixed length keeps the colours of different
            pictures comparable.

    Returns:
        uint8 `(Y, X, 3)`, RGB.

    Reference:
        The notebook released with Perceiver IO (google-deepmind/deepmind-research).
    """
    if not full_px > 0:
        raise ValueError(f"`full_px` must be positive. Received: full_px={full_px}")
    u, v = np.moveaxis(field.flow.astype(np.float64), -1, 0)
    hue = np.arctan2(v, u) / (2.0 * np.pi) % 1.0
    saturation = np.clip(np.hypot(u, v) / full_px, 0.0, 1.0)
    colours = hsv_to_rgb(np.stack([hue, saturation, np.ones_like(hue)], axis=-1))
    return np.where(field.valid[..., None], np.round(255.0 * colours), 0.0).astype(np.uint8)


def side_by_side(*pictures: np.ndarray) -> np.ndarray:
    """Puts pictures of one height `(Y, X, 3)` in a row, of even rows and columns, as videos need."""
    row = np.concatenate(pictures, axis=1)
    odd = [(0, size % 2) for size in row.shape[:2]]
    return np.pad(row, [*odd, (0, 0)], mode="edge")


def colour_wheel(size_px: int = 151) -> np.ndarray:
    """The legend: a disc in which each point is painted as flow from the middle to there; white around it.

    Args:
        size_px: int. Rows and columns; the rim is full colour.

    Returns:
        uint8 `(size_px, size_px, 3)`.
    """
    middle = (size_px - 1) / 2
    rows, columns = np.mgrid[:size_px, :size_px] - middle
    flow = np.stack([columns, rows], axis=-1) / middle * FULL_COLOUR_PX
    inside = np.hypot(rows, columns) <= middle
    colours = flow_colours(FlowField.dense(flow))
    return np.where(inside[..., None], colours, np.uint8(255))
