"""From the bytes of one picture to its pixels, with a reason for each that cannot be used."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import tensorflow as tf

from zorro_keras.applications.pipelines.faults import MediaError
from zorro_keras.applications.pipelines.image_header import ImageHeader, looks_cut, read_header
from zorro_keras.applications.pipelines.media_files import open_local_file

MAX_PIXELS = 2**26  # 200 MB of RGB; the largest picture of ImageNet has 25 million pixels
MAX_FILE_BYTES = 2**28
MIN_SIDE_PX = 2  # a pixel alone is what tracking pictures on web pages have


@dataclass(frozen=True)
class DecodedImage:
    """A picture.

    Attributes:
        pixels: uint8 `(Y, X, 3)`, RGB, as stored: a rotation noted in EXIF is not applied, as in the
            published recipes.
        notes: tuple of str. What is uncommon but was read all the same: "cmyk", "16_bit" or "wrong_suffix".
    """

    pixels: np.ndarray
    notes: tuple[str, ...] = ()


def read_bytes(
    path: str | Path, *, root: str | Path | None = None, offset: int = 0, num_bytes: int | None = None
) -> bytes:
    """Reads a file, or a part of an archive.

    Args:
        path: str or path.
        root: optional folder that the real file must lie in.
        offset: int. Where to start.
        num_bytes: optional int. How much to read; None is the whole file, which is then checked to be of a
            reasonable size.

    Raises:
        MediaError: as `open_local_file`; `truncated` if the file ends before that.
    """
    max_bytes = MAX_FILE_BYTES if num_bytes is None else 2**62
    with open_local_file(path, root=root, max_bytes=max_bytes) as file:
        file.seek(offset)
        data = file.read() if num_bytes is None else file.read(num_bytes)
    if num_bytes is not None and len(data) < num_bytes:
        raise MediaError(
            f"The file ends within a picture: {len(data)} of {num_bytes} bytes are there.",
            path=path, row=f"byte {offset}", stage="open", reason="truncated",
        )  # fmt: skip
    return data


def decode_image(data: bytes, path: str | Path, *, max_pixels: int = MAX_PIXELS) -> DecodedImage:
    """Decodes a JPEG, PNG, GIF (its first picture), BMP or WebP, told by content.

    JPEG, PNG and WebP are decoded by TensorFlow, as in the published recipes; GIF and BMP by PyAV, since
    TensorFlow's decoders keep all frames in memory and know no palettes.

    Args:
        data: bytes of the whole file.
        path: where they come from, for errors and for its suffix.
        max_pixels: int. A picture that announces more is refused before it is decoded.

    Raises:
        MediaError: as `read_header`; `too_large`, `too_small`, `truncated` or `corrupt`.
    """
    header = read_header(data, path)
    _check_size(header, path, max_pixels)
    cut = looks_cut(data, header.kind)
    try:
        if cut and header.kind in _FILLED_UP:
            raise ValueError
        pixels = _DECODERS[header.kind](data)
    except (tf.errors.OpError, av.FFmpegError, ValueError, StopIteration) as error:
        message = "ends before its end mark" if cut else f"cannot be decoded ({type(error).__name__})"
        raise MediaError(
            f"The {header.kind.upper()} {message}.",
            path=path, stage="decode", reason="truncated" if cut else "corrupt",
        ) from error  # fmt: skip
    if pixels.shape != (header.height_px, header.width_px, 3):
        raise MediaError(
            f"The {header.kind.upper()} announces {header.width_px} x {header.height_px} px but holds "
            f"{pixels.shape[1]} x {pixels.shape[0]}.",
            path=path, stage="decode", reason="corrupt",
        )  # fmt: skip
    wrong = () if header.fits_suffix(path) else ("wrong_suffix",)
    return DecodedImage(pixels, (*header.notes, *wrong))


def _check_size(header: ImageHeader, path: str | Path, max_pixels: int) -> None:
    size = f"{header.width_px} x {header.height_px} px"
    if header.height_px * header.width_px > max_pixels:
        raise MediaError(
            f"The picture has {size}, more than the {max_pixels} pixels allowed.",
            path=path, stage="open", reason="too_large",
        )  # fmt: skip
    if min(header.height_px, header.width_px) < MIN_SIDE_PX:
        raise MediaError(
            f"The picture has {size}: nothing can be seen in it.",
            path=path, stage="open", reason="too_small",
        )  # fmt: skip


def _with_tensorflow(decode: Callable[..., tf.Tensor]) -> Callable[[bytes], np.ndarray]:
    def decoded(data: bytes) -> np.ndarray:
        with tf.device("CPU:0"):
            pixels = decode(tf.constant(data), channels=3).numpy()
        return pixels[0] if pixels.ndim == 4 else pixels  # the first of an animation

    return decoded


def _with_pyav(kind: str) -> Callable[[bytes], np.ndarray]:
    container_format = {"gif": "gif", "bmp": "bmp_pipe", "webp": "webp_pipe"}[kind]

    def decoded(data: bytes) -> np.ndarray:
        with av.open(io.BytesIO(data), format=container_format, metadata_errors="replace") as container:
            stream = container.streams.video[0]
            stream.thread_count = 1
            return next(container.decode(stream)).to_ndarray(format="rgb24")

    return decoded


# Their decoders fill up what is missing and say nothing, while those of JPEG and PNG notice.
_FILLED_UP = ("bmp", "gif", "webp")
_DECODERS = {
    "jpeg": _with_tensorflow(tf.io.decode_jpeg),
    "png": _with_tensorflow(tf.io.decode_png),
    "gif": _with_pyav("gif"),
    "bmp": _with_pyav("bmp"),
    # TensorFlow learned WebP late.
    "webp": _with_tensorflow(tf.io.decode_webp) if hasattr(tf.io, "decode_webp") else _with_pyav("webp"),
}
