"""What the first bytes of a picture say: its format and its size, before anything is decoded.

Formats are told by content alone, so a picture with the wrong suffix is still read for what it is.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zorro_keras.applications.pipelines.faults import MediaError

SUFFIXES = {
    "jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "png": (".png",),
    "gif": (".gif",),
    "bmp": (".bmp", ".dib"),
    "webp": (".webp",),
}
IMAGE_SUFFIXES = tuple(sorted(suffix for suffixes in SUFFIXES.values() for suffix in suffixes))
_ENOUGH_BYTES = 16  # every format is told by fewer
_KNOWN = "JPEG, PNG, GIF, BMP or WebP"
# JPEG markers without a length, and those that announce the size (C4, C8 and CC mean other things).
_BARE_MARKERS = {0x01, *range(0xD0, 0xD9)}
_FRAME_MARKERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True)
class ImageHeader:
    """What a picture says of itself.

    Attributes:
        kind: "jpeg", "png", "gif", "bmp" or "webp".
        height_px, width_px: int. At least 1.
        notes: tuple of str. What is uncommon but read all the same: "cmyk", "16_bit".
    """

    kind: str
    height_px: int
    width_px: int
    notes: tuple[str, ...] = ()

    def fits_suffix(self, path: str | Path) -> bool:
        """Whether the suffix of a file's name belongs to the format."""
        return Path(path).suffix.lower() in SUFFIXES[self.kind]


def read_header(data: bytes, path: str | Path) -> ImageHeader:
    """Reads the header of a picture.

    Args:
        data: bytes of the whole file.
        path: where they come from, for errors.

    Raises:
        MediaError: `zero_length`; `not_image` if it is none of the formats; `truncated` if it ends within its
            header; `corrupt` if the header makes no sense; `unsupported_codec` for 12-bit or lossless JPEG.
    """
    if not data:
        raise MediaError("The file is empty.", path=path, stage="open", reason="zero_length")
    kind = image_kind(data)
    if kind is None:
        start = data[:12].decode("ascii", "replace")
        raise MediaError(
            f"The file is not a {_KNOWN} picture: it starts with {start!r}.",
            path=path, stage="open", reason="not_image",
        )  # fmt: skip
    _, offset, read = _FORMATS[kind]
    try:
        header = read(data, offset)
    except (struct.error, IndexError):
        raise MediaError(
            f"The {kind.upper()} ends within its header.", path=path, stage="open", reason="truncated"
        ) from None
    except _UnsupportedError as error:
        raise MediaError(str(error), path=path, stage="open", reason="unsupported_codec") from None
    if min(header.height_px, header.width_px) < 1:
        raise MediaError(
            f"The {kind.upper()} announces {header.width_px} x {header.height_px} px.",
            path=path, stage="open", reason="corrupt",
        )  # fmt: skip
    return header


def looks_cut(data: bytes, kind: str) -> bool:
    """Whether the mark that ends a JPEG, PNG or GIF is missing, or a BMP or WebP is shorter than it says."""
    if kind in ("bmp", "webp"):
        announced = struct.unpack_from("<I", data, 2 if kind == "bmp" else 4)[0]
        return len(data) < announced + (8 if kind == "webp" else 0)
    if kind == "gif":
        return not data.rstrip(b"\0").endswith(b";")
    # Programs append notes of their own after the end: its last part is looked at, not its last bytes.
    return {"jpeg": b"\xff\xd9", "png": b"IEND\xaeB`\x82"}[kind] not in data[-4096:]


def image_kind(data: bytes) -> str | None:
    """The format, a key of `SUFFIXES`, that the first bytes of a file tell; None for no picture."""
    for kind, (magic, _, _) in _FORMATS.items():
        if data.startswith(magic) and (kind != "webp" or data[8:12] == b"WEBP"):
            return kind
    return None


def is_picture(path: str | Path) -> bool:
    """Whether a file begins as a picture of one of the formats does, whatever its name."""
    start = first_bytes(path)
    kind = image_kind(start)
    # A text may begin with BM, too; in a BMP zeros follow the size.
    return kind is not None and (kind != "bmp" or start[6:10] == bytes(4))


def first_bytes(path: str | Path) -> bytes:
    """The bytes that tell the format of a picture; empty for what is no file or cannot be opened."""
    if not Path(path).is_file():  # a pipe would be waited for
        return b""
    try:
        with open(path, "rb") as file:
            return file.read(_ENOUGH_BYTES)
    except OSError:
        return b""


class _UnsupportedError(Exception):
    pass


def _jpeg(data: bytes, offset: int) -> ImageHeader:
    while True:
        while data[offset] != 0xFF:  # padding and stray bytes between segments
            offset += 1
        while data[offset] == 0xFF:
            offset += 1
        marker, offset = data[offset], offset + 1
        if marker in _BARE_MARKERS:
            continue
        if marker in _FRAME_MARKERS:
            precision, height, width, channels = struct.unpack_from(">xxBHHB", data, offset)
            if precision != 8 or marker in (0xC3, 0xC7, 0xCB, 0xCF):
                raise _UnsupportedError(f"JPEG of {precision} bits, or lossless, is not read.")
            return ImageHeader("jpeg", height, width, ("cmyk",) if channels == 4 else ())
        offset += struct.unpack_from(">H", data, offset)[0]


def _png(data: bytes, offset: int) -> ImageHeader:
    width, height, depth = struct.unpack_from(">IIB", data, offset)
    return ImageHeader("png", height, width, ("16_bit",) if depth == 16 else ())


def _gif(data: bytes, offset: int) -> ImageHeader:
    width, height = struct.unpack_from("<HH", data, offset)
    return ImageHeader("gif", height, width)


def _bmp(data: bytes, offset: int) -> ImageHeader:
    if struct.unpack_from("<I", data, offset)[0] == 12:  # the header of OS/2
        width, height = struct.unpack_from("<HH", data, offset + 4)
    else:
        width, height = struct.unpack_from("<ii", data, offset + 4)
    return ImageHeader("bmp", abs(height), width)  # negative: rows from the top


def _webp(data: bytes, offset: int) -> ImageHeader:
    chunk = data[offset : offset + 4]
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, offset + 14)
        return ImageHeader("webp", height & 0x3FFF, width & 0x3FFF)
    if chunk == b"VP8L":
        bits = struct.unpack_from("<I", data, offset + 9)[0]
        return ImageHeader("webp", (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1)
    if chunk == b"VP8X":
        if data[offset + 8] & 0b10:
            raise _UnsupportedError("Animated WebP is not read.")
        low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", data, offset + 12)
        width, height = low_width + (high_width << 16), low_height + (high_height << 16)
        return ImageHeader("webp", height + 1, width + 1)
    if len(chunk) < 4:
        raise IndexError
    raise _UnsupportedError(f"WebP with a first part of {chunk!r} is not read.")


# Format -> the bytes it starts with, where its header goes on, and what reads it.
_FORMATS: dict[str, tuple[bytes, int, Callable[[bytes, int], ImageHeader]]] = {
    "jpeg": (b"\xff\xd8\xff", 2, _jpeg),
    "png": (b"\x89PNG\r\n\x1a\n", 16, _png),
    "gif": (b"GIF8", 6, _gif),
    "bmp": (b"BM", 14, _bmp),
    "webp": (b"RIFF", 12, _webp),
}
