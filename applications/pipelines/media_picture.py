"""How a stored picture becomes the one a person sees, and how it is brought to the size wanted."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

from zorro_keras.applications.pipelines.media_open import OpenMedia, faults_of


@dataclass(frozen=True)
class Placement:
    """The display matrix of a video, to the nearest quarter turn, and the shape of its pixels.

    Args:
        is_transposed: bool. Swap rows and columns. Done first.
        flips_x: bool. Then swap left and right.
        flips_y: bool. Then swap top and bottom.
        pixel_aspect: Fraction. Width of a stored pixel divided by its height.
    """

    is_transposed: bool = False
    flips_x: bool = False
    flips_y: bool = False
    pixel_aspect: Fraction = Fraction(1)

    def seen_size(self, frame: av.VideoFrame) -> tuple[float, float]:
        """Height and width a person sees."""
        height, width = float(frame.height), float(frame.width * self.pixel_aspect)
        return (width, height) if self.is_transposed else (height, width)

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Turns `(Y, X, 3)` upright."""
        pixels = pixels.transpose(1, 0, 2) if self.is_transposed else pixels
        return pixels[:: -1 if self.flips_y else 1, :: -1 if self.flips_x else 1]


def placement_of(media: OpenMedia, frame: av.VideoFrame) -> Placement:
    """Reads the display matrix (rotation and mirroring) and the pixel aspect of a video."""
    aspect = media.video.sample_aspect_ratio or Fraction(1)
    side_data = frame.side_data.get(av.sidedata.sidedata.Type.DISPLAYMATRIX)
    if side_data is None:
        return Placement(pixel_aspect=aspect)
    # A stored point (x, y) is shown at (a x + c y, b x + d y).
    a, b, _, c, d = np.frombuffer(bytes(side_data), "<i4")[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Placement(False, a < 0, d < 0, aspect)
    return Placement(True, c < 0, b < 0, aspect)


def cover(media: OpenMedia, frame: av.VideoFrame, height_px: int, width_px: int) -> np.ndarray:
    """Scales a picture until it just covers the size wanted, and cuts out the middle.

    Returns:
        uint8 `(height_px, width_px, 3)`, RGB, upright.
    """
    seen_height, seen_width = placement_of(media, frame).seen_size(frame)
    scale = max(width_px / seen_width, height_px / seen_height)
    full_height = max(round(seen_height * scale), height_px)
    full_width = max(round(seen_width * scale), width_px)
    pixels = scale_to(media, frame, full_height, full_width)
    top, left = (full_height - height_px) // 2, (full_width - width_px) // 2
    return pixels[top : top + height_px, left : left + width_px]


def size_with_shorter_side(media: OpenMedia, frame: av.VideoFrame, shorter_side_px: int) -> tuple[int, int]:
    """Even height and width that keep the aspect a person sees, the shorter one `shorter_side_px`."""
    seen_height, seen_width = placement_of(media, frame).seen_size(frame)
    scale = shorter_side_px / min(seen_height, seen_width)
    return max(2 * round(seen_height * scale / 2), 2), max(2 * round(seen_width * scale / 2), 2)


def scale_to(media: OpenMedia, frame: av.VideoFrame, height_px: int, width_px: int) -> np.ndarray:
    """Scales a picture to uint8 `(height_px, width_px, 3)`, RGB, upright."""
    if height_px * width_px > media.limits.max_pixels:
        message = f"Scaled to {width_px}x{height_px} the picture would be too large."
        raise media.fault(message, "too_large", "scale")
    placement = placement_of(media, frame)
    stored_height, stored_width = (width_px, height_px) if placement.is_transposed else (height_px, width_px)
    with faults_of(media.path, "scale"):
        pixels = frame.to_ndarray(
            format="rgb24", height=stored_height, width=stored_width, interpolation="BILINEAR", threads=1
        )
    return placement.apply(pixels)
