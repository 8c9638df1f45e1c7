"""Flow in floats: Middlebury's `.flo` and the portable float map `.pfm` of FlyingThings3D.

Both round trips are exact. Pixels that are not known are written as 1e10, and read from NaN, infinity or
anything above 1e9.

Reference:
    Baker et al., A Database and Evaluation Methodology for Optical Flow, IJCV 2011 (`.flo`); Debevec's PFM.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from zorro_keras.applications.pipelines.faults import MediaError
from zorro_keras.applications.pipelines.flow_field import FlowField
from zorro_keras.applications.pipelines.netpbm import read_netpbm_header

FLO_MAGIC = struct.pack("<f", 202021.25)  # reads "PIEH"
_LARGEST_SIDE_PX = 2**16


def encode_flo(field: FlowField) -> bytes:
    """Returns the bytes of a `.flo` file."""
    height, width = field.size_px
    return FLO_MAGIC + struct.pack("<ii", width, height) + field.marked().astype("<f4").tobytes()


def decode_flo(data: bytes, path: str | Path) -> FlowField:
    """Reads the bytes of a `.flo` file.

    Args:
        data: bytes of the whole file.
        path: where they come from, for errors.

    Raises:
        MediaError: `not_flow` without its magic number, `truncated`, or `corrupt` if sizes disagree.
    """
    if data[:4] != FLO_MAGIC:
        raise MediaError(
            f"The file is not a .flo: it starts with {data[:4]!r}, not with the magic number 202021.25.",
            path=path, stage="decode", reason="not_flow",
        )  # fmt: skip
    if len(data) < 12:
        raise _ends_early(path, len(data), 12)
    width, height = struct.unpack_from("<ii", data, 4)
    _check_size(path, height, width, 8 * height * width, len(data) - 12)
    values = np.frombuffer(data, "<f4", offset=12).reshape(height, width, 2)
    return FlowField.of_values(values)


def encode_pfm(field: FlowField) -> bytes:
    """Returns the bytes of a `.pfm` file: u, v and 0 for each pixel, the lowest row first."""
    height, width = field.size_px
    values = np.concatenate([field.marked(), np.zeros((height, width, 1), np.float32)], axis=-1)
    return f"PF\n{width} {height}\n-1.0\n".encode() + values[::-1].astype("<f4").tobytes()


def decode_pfm(data: bytes, path: str | Path) -> FlowField:
    """Reads the bytes of a `.pfm` file of three channels, of which flow fills the first two.

    Args:
        data: bytes of the whole file, of either byte order.
        path: where they come from, for errors.

    Raises:
        MediaError: `not_flow` without its magic number or of one channel (a disparity), `truncated`, or
            `corrupt` if sizes disagree or the scale is not 1 or -1.
    """
    if data[:2] != b"PF":
        kind = "has one channel, so it holds no flow" if data[:2] == b"Pf" else "does not start with PF"
        raise MediaError(f"The .pfm {kind}.", path=path, stage="decode", reason="not_flow")
    (width, height, scale), start = read_netpbm_header(data, (int, int, float), path)
    if abs(scale) != 1.0:
        raise MediaError(
            f"The scale of the .pfm must be 1 or -1. Received: {scale}",
            path=path, stage="decode", reason="corrupt",
        )  # fmt: skip
    _check_size(path, height, width, 12 * height * width, len(data) - start)
    values = np.frombuffer(data, "<f4" if scale < 0 else ">f4", offset=start)
    return FlowField.of_values(values.reshape(height, width, 3)[::-1, :, :2])


def _check_size(path: str | Path, height: int, width: int, announced: int, found: int) -> None:
    if not (0 < height <= _LARGEST_SIDE_PX and 0 < width <= _LARGEST_SIDE_PX):
        raise MediaError(
            f"The file announces {width} x {height} px.", path=path, stage="decode", reason="corrupt"
        )
    if found < announced:
        raise _ends_early(path, found, announced)
    if found > announced:
        raise MediaError(
            f"The file announces {width} x {height} px, {announced} bytes of flow, but holds {found}.",
            path=path, stage="decode", reason="corrupt",
        )  # fmt: skip


def _ends_early(path: str | Path, found: int, announced: int) -> MediaError:
    return MediaError(
        f"The file ends early: {found} of {announced} bytes are there.",
        path=path, stage="decode", reason="truncated",
    )  # fmt: skip
