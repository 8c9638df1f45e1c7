"""The shape of what a model looks at: one time-aligned window of sound and picture."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ClipGeometry:
    """One time-aligned window of sound and picture.

    The window covers `[start, start + seconds)`. It holds `num_samples` samples of mono sound and
    `num_frames` frames, one from the middle of each of `num_frames` equal parts of the window.

    Args:
        seconds: float. Length of the window in seconds. Positive.
        sample_rate_hz: int. Samples of sound per second. Positive.
        num_frames: int. Frames in the window. Positive.
        height_px: int. Height of a frame in pixels. Positive.
        width_px: int. Width of a frame in pixels. Positive.
    """

    seconds: float
    sample_rate_hz: int
    num_frames: int
    height_px: int
    width_px: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.seconds) and self.seconds > 0):
            raise ValueError(f"`seconds` must be positive and finite. Received: seconds={self.seconds}")
        for name in ("sample_rate_hz", "num_frames", "height_px", "width_px"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")

    @property
    def num_samples(self) -> int:
        """Samples of sound in the window: `seconds * sample_rate_hz`, rounded."""
        return round(self.seconds * self.sample_rate_hz)

    def frame_times(self, start_seconds: float = 0.0) -> np.ndarray:
        """The times at which the frames are taken.

        Args:
            start_seconds: float. Where the window starts, in seconds.

        Returns:
            float64 array `(num_frames,)`, in seconds: `start + (i + 0.5) * seconds / num_frames`.
        """
        return start_seconds + (np.arange(self.num_frames) + 0.5) * (self.seconds / self.num_frames)

    def sizes_within(self, seconds: float) -> dict[str, int]:
        """How much of a window lies before the end of a file; what follows is filled up.

        Args:
            seconds: float. From the start of the window to the end of the file.

        Returns:
            Dict of "audio" to samples and "video" to frames: all at most, and at least one.
        """
        share = min(max(seconds / self.seconds, 0.0), 1.0)
        sizes = {"audio": self.num_samples, "video": self.num_frames}
        return {name: max(round(share * size), 1) for name, size in sizes.items()}

    def get_config(self) -> dict[str, Any]:
        """The arguments as a plain dict, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ClipGeometry:
        """Rebuilds what `get_config` described.

        Raises:
            ValueError: if a key is missing or unknown.
        """
        names = [field.name for field in fields(cls)]
        if sorted(config) != sorted(names):
            raise ValueError(f"`config` must have the keys {names}. Received: {list(config)}")
        return cls(**config)
