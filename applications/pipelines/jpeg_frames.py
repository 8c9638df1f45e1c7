"""Frames as JPEG images, by the encoder that comes with PyAV."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

QUANTISER = 2  # FFmpeg's scale from 1 (best) to 31; 2 is what the eye cannot tell from the original


def encode_jpegs(frames: np.ndarray) -> list[bytes]:
    """Encodes each frame as a JPEG image of its own.

    Args:
        frames: uint8 array `(F, Y, X, 3)`.

    Returns:
        list of F bytes objects.
    """
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.height, encoder.width = frames.shape[1:3]
    encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 25)  # any rate: an image has none
    encoder.options = {"qmin": str(QUANTISER), "qmax": str(QUANTISER), "threads": "1"}
    packets = []
    for number, pixels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuvj420p")
        frame.pts = number
        packets.extend(encoder.encode(frame))
    packets.extend(encoder.encode(None))
    return [bytes(packet) for packet in packets]
