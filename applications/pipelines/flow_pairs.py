"""Reads one pair of frames with the flow between them, and checks that they belong together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zorro_keras.applications.pipelines.faults import MediaError
from zorro_keras.applications.pipelines.flow_entry import FlowEntry
from zorro_keras.applications.pipelines.flow_files import read_flow
from zorro_keras.applications.pipelines.image_decode import MAX_PIXELS, decode_image, read_bytes
from zorro_keras.applications.pipelines.image_header import first_bytes, image_kind
from zorro_keras.applications.pipelines.netpbm import decode_ppm, is_ppm


@dataclass(frozen=True)
class FlowPair:
    """Two frames and the flow from the first to the second.

    Attributes:
        frames: uint8 `(2, Y, X, 3)`, RGB.
        flow: float32 `(Y, X, 2)`, pixels, u to the right and v down; 0 where it is not known.
        valid: bool `(Y, X)`. True = the flow is known.
        matched: optional bool `(Y, X)`. True = the pixel is seen in both frames; None if nothing tells.
    """

    frames: np.ndarray
    flow: np.ndarray
    valid: np.ndarray
    matched: np.ndarray | None = None


def read_frame(path: str | Path, *, root: str | None = None, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Reads a picture as uint8 `(Y, X, 3)`, RGB.

    A grey picture gets three equal channels, alpha is left out, 16 bits are cut to 8. JPEG, PNG, GIF (its
    first picture), BMP, WebP, PPM and PGM are told by content.

    Raises:
        MediaError: if it cannot be read, with the reason.
    """
    data = read_bytes(path, root=root)
    if is_ppm(data):
        return decode_ppm(data, path, max_pixels=max_pixels)
    return decode_image(data, path, max_pixels=max_pixels).pixels


def is_picture(path: str | Path) -> bool:
    """Whether a file begins as a picture does that `read_frame` knows, whatever its name."""
    start = first_bytes(path)
    return is_ppm(start) or image_kind(start) is not None


def read_frames(
    first: str | Path, second: str | Path, *, root: str | None = None, max_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """Reads two pictures of one size as uint8 `(2, Y, X, 3)`.

    Raises:
        MediaError: if one cannot be read; `unequal_sizes` if they differ in size.
    """
    frames = [read_frame(path, root=root, max_pixels=max_pixels) for path in (first, second)]
    _check_equal("The second frame", frames[1].shape[:2], frames[0].shape[:2], second)
    return np.stack(frames)


def read_pair(entry: FlowEntry, *, root: str | None = None, max_pixels: int = MAX_PIXELS) -> FlowPair:
    """Reads a pair of a source.

    Args:
        entry: `FlowEntry`.
        root: optional folder that all its files must lie in.
        max_pixels: int. Larger pictures are refused before they are decoded.

    Raises:
        MediaError: if a file cannot be read; `unequal_sizes` if frames, flow and masks differ in size;
            `empty_flow` if nothing of the flow is known.
    """
    frames = read_frames(entry.first, entry.second, root=root, max_pixels=max_pixels)
    size = frames.shape[1:3]
    field = read_flow(entry.flow, root=root)
    _check_equal("The flow", field.size_px, size, entry.flow)
    valid, matched = field.valid, None
    if entry.invalid is not None:
        valid = valid & ~_mask(entry.invalid, size, root)
        if not valid.any():
            raise MediaError(
                "Not one pixel of the flow is valid.", path=entry.invalid, stage="decode", reason="empty_flow"
            )
    if entry.occlusion is not None:
        matched = ~_mask(entry.occlusion, size, root)
    elif entry.matched_flow is not None:
        # All that is known of the first frame may be hidden in the second.
        seen = read_flow(entry.matched_flow, root=root, may_be_empty=True)
        _check_equal("The flow of what is seen twice", seen.size_px, size, entry.matched_flow)
        matched = seen.valid
    return FlowPair(frames, np.where(valid[..., None], field.flow, np.float32(0)), valid, matched)


def _mask(path: str, size: tuple[int, int], root: str | None) -> np.ndarray:
    mask = read_frame(path, root=root)[..., 0] > 127
    _check_equal("The mask", mask.shape, size, path)
    return mask


def _check_equal(what: str, found: tuple[int, ...], size: tuple[int, ...], path: str | Path) -> None:
    if tuple(found) != tuple(size):
        raise MediaError(
            f"{what} has {found[1]} x {found[0]} px, the first frame {size[1]} x {size[0]}.",
            path=path, stage="decode", reason="unequal_sizes",
        )  # fmt: skip
