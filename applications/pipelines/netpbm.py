"""The text headers of portable maps, and the pictures `.ppm` and `.pgm`, in which FlyingChairs comes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zorro_keras.applications.pipelines.faults import MediaError

PPM_SUFFIXES = (".pgm", ".ppm")
_CHANNELS = {b"P5": 1, b"P6": 3}
# One space at a time: `\s+` repeated can split a run of spaces in exponentially many ways.
_WORD = re.compile(rb"(?:\s|#[^\n]*\n)*([^\s#]+)")
_LONGEST_HEADER = 4096


def is_ppm(data: bytes) -> bool:
    """Whether these are the bytes of a binary `.ppm` or `.pgm`."""
    return data[:2] in _CHANNELS


def read_netpbm_header(
    data: bytes, kinds: Sequence[Callable[[bytes], Any]], path: str | Path
) -> tuple[list[Any], int]:
    """Reads the numbers between the magic bytes and the pixels of a portable map.

    Args:
        data: bytes of the whole file.
        kinds: what reads each number, such as `int`.
        path: where they come from, for errors.

    Returns:
        The numbers, and the offset of the first pixel.

    Raises:
        MediaError: `truncated` if the file ends within its header, `corrupt` if a word of it is no number.
    """
    start, numbers = 2, []
    for kind in kinds:
        word = _WORD.match(data, start, _LONGEST_HEADER)
        if word is None or word.end() == len(data):
            raise MediaError(
                "The file ends within its header.", path=path, stage="decode", reason="truncated"
            )
        try:
            numbers.append(kind(word[1]))
        except ValueError as error:
            raise MediaError(
                f"The header must hold numbers. Received: {word[1][:20]!r}",
                path=path, stage="decode", reason="corrupt",
            ) from error  # fmt: skip
        start = word.end()
    return numbers, start + 1  # one whitespace, then pixels


def decode_ppm(data: bytes, path: str | Path, *, max_pixels: int) -> np.ndarray:
    """Reads the bytes of a binary `.ppm` or `.pgm` of 8 bits.

    Args:
        data: bytes of the whole file.
        path: where they come from, for errors.
        max_pixels: int. A picture that announces more is refused.

    Returns:
        uint8 `(Y, X, 3)`; a grey picture has three equal channels.

    Raises:
        MediaError: `truncated`, `corrupt`, `too_large`, or `unsupported_codec` if not of 8 bits up to 255.
    """
    channels = _CHANNELS[data[:2]]
    (width, height, largest), start = read_netpbm_header(data, (int, int, int), path)
    if min(width, height) < 1:
        raise MediaError(
            f"The file announces {width} x {height} px.", path=path, stage="decode", reason="corrupt"
        )
    if width * height > max_pixels:
        raise MediaError(
            f"The picture has {width} x {height} px, more than the {max_pixels} pixels allowed.",
            path=path, stage="open", reason="too_large",
        )  # fmt: skip
    if largest != 255:
        raise MediaError(
            f"Only pictures of 8 bits whose largest value is 255 are read. Received: {largest}",
            path=path, stage="decode", reason="unsupported_codec",
            advice="Save the picture with 8 bits a channel and a largest value of 255.",
        )  # fmt: skip
    pixels = np.frombuffer(data, np.uint8, offset=min(start, len(data)))
    if pixels.size != width * height * channels:
        message = f"The picture needs {width * height * channels} bytes. Received: {pixels.size}"
        short = pixels.size < width * height * channels
        raise MediaError(message, path=path, stage="decode", reason="truncated" if short else "corrupt")
    pixels = pixels.reshape(height, width, channels)
    return np.ascontiguousarray(np.broadcast_to(pixels, (height, width, 3)))
