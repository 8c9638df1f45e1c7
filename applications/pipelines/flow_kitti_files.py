"""Sparse flow in PNGs of 16 bits, as KITTI and HD1K have it.

Red and green hold u and v as 64 values a pixel around 2^15, blue whether the flow is known. Multiples of 1/64
px in [-512, 512) survive a round trip exactly, others to 1/128 px.

Reference:
    Development kit of KITTI 2015, Menze and Geiger, CVPR 2015.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from zorro_keras.applications.pipelines.faults import MediaError
from zorro_keras.applications.pipelines.flow_field import FlowField
from zorro_keras.applications.pipelines.image_header import read_header

_STEPS_PER_PX = 64.0
_ZERO = 2**15
_RGB = 2  # PNG's colour type


def encode_kitti(field: FlowField) -> bytes:
    """Returns the bytes of a PNG.

    Raises:
        ValueError: if a known flow lies outside [-512, 512) px, which the format cannot hold.
    """
    steps = np.round(field.flow.astype(np.float64) * _STEPS_PER_PX) + _ZERO
    known = steps[field.valid]
    if known.size and (known.min() < 0 or known.max() >= 2**16):
        raise ValueError(
            "`field` must lie within [-512, 512) px to be written as a PNG. "
            f"Received: flows up to {np.abs(field.flow[field.valid]).max():.1f} px"
        )
    values = np.concatenate([steps, np.ones((*field.size_px, 1))], axis=-1)
    values = np.where(field.valid[..., None], values, 0).astype(np.uint16)
    with tf.device("CPU:0"):
        return tf.io.encode_png(values).numpy()


def decode_kitti(data: bytes, path: str | Path) -> FlowField:
    """Reads the bytes of a PNG with flow.

    Args:
        data: bytes of the whole file.
        path: where they come from, for errors.

    Raises:
        MediaError: as `read_header`; `not_flow` for a PNG of other than three channels of 16 bits;
            `truncated` or `corrupt` if it cannot be decoded.
    """
    header = read_header(data, path)
    if header.kind != "png" or "16_bit" not in header.notes or data[25] != _RGB:
        raise MediaError(
            "Flow in a PNG needs three channels of 16 bits, without alpha. Received: "
            f"{header.kind.upper()}, {_described(data) if header.kind == 'png' else 'which holds no flow'}",
            path=path, stage="decode", reason="not_flow",
        )  # fmt: skip
    try:
        with tf.device("CPU:0"):
            values = tf.io.decode_png(data, channels=3, dtype=tf.uint16).numpy()
    except tf.errors.OpError as error:
        cut = b"IEND\xaeB`\x82" not in data[-4096:]
        raise MediaError(
            "The PNG " + ("ends before its end mark." if cut else "cannot be decoded."),
            path=path, stage="decode", reason="truncated" if cut else "corrupt",
        ) from error  # fmt: skip
    valid = values[..., 2] > 0
    flow = (values[..., :2].astype(np.float32) - _ZERO) / np.float32(_STEPS_PER_PX)
    return FlowField(np.where(valid[..., None], flow, np.float32(0)), valid)


def _described(data: bytes) -> str:
    names = {0: "grey", 2: "RGB", 3: "palette", 4: "grey and alpha", 6: "RGB and alpha"}
    return f"{names.get(data[25], 'unknown')} of {data[24]} bits"
