"""A field of optical flow, and which of its pixels are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Middlebury's marks: what is larger is not known, and this is written for it.
UNKNOWN_ABOVE_PX = 1e9
UNKNOWN_PX = 1e10


@dataclass(frozen=True)
class FlowField:
    """Where each pixel of a first frame went in the second.

    Args:
        flow: float32 `(Y, X, 2)`: u to the right, then v down, in pixels. 0 where it is not known.
        valid: bool `(Y, X)`. True = known.

    Raises:
        ValueError: if the shapes disagree, or a known pixel is not finite.
    """

    flow: np.ndarray
    valid: np.ndarray

    def __post_init__(self) -> None:
        if self.flow.ndim != 3 or self.flow.shape[2] != 2 or self.valid.shape != self.flow.shape[:2]:
            raise ValueError(
                "`flow` must have the shape (Y, X, 2), `valid` (Y, X). "
                f"Received: {self.flow.shape} and {self.valid.shape}"
            )
        if not np.isfinite(self.flow[self.valid]).all():
            raise ValueError("`flow` must be finite where it is `valid`. Received: NaN or infinity")

    @classmethod
    def of_values(cls, values: np.ndarray) -> FlowField:
        """Makes a field of floats `(Y, X, 2)`: NaN, infinity and what exceeds 1e9 px mean not known."""
        valid = (np.abs(values) <= UNKNOWN_ABOVE_PX).all(axis=-1)  # a comparison with NaN is false
        return cls(np.where(valid[..., None], values, 0).astype(np.float32), valid)

    @classmethod
    def dense(cls, flow: np.ndarray) -> FlowField:
        """Makes a field of which every pixel is known."""
        return cls(np.asarray(flow, np.float32), np.ones(np.shape(flow)[:2], bool))

    def marked(self) -> np.ndarray:
        """The flow float32 `(Y, X, 2)` with 1e10 where it is not known, as files keep it."""
        return np.where(self.valid[..., None], self.flow, UNKNOWN_PX).astype(np.float32)

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width."""
        return self.valid.shape
