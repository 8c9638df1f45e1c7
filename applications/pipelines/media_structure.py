"""Tells a media container by its first bytes, and whether all the bytes it announces are there.

A cut file often decodes without complaint and is merely shorter. Containers say how long they are, so the
outer boxes, chunks, elements or pages show a missing end at once, without decoding and without false alarms.
"""

from __future__ import annotations

import os
from typing import BinaryIO

# Sizes that programs write when they cannot go back and fill in the real one.
_STREAMED_RIFF_SIZES = (
    0,
    0x7FFFF000,
    0x7FFFFFFF,
    0xFFFFFFFF,
    0xFFFFFFFF - 8,
    0xFFFFFFFF - 36,
    0x7FFFFFFF - 36,
)
_MP4_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_EBML_HEADER_ID, _SEGMENT_ID = 0x1A45DFA3, 0x18538067


def sniff_container(file: BinaryIO) -> str | None:
    """The container of a file by its content alone.

    Args:
        file: binary file object, at any position.

    Returns:
        `"mp4"`, `"matroska"`, `"avi"`, `"wav"`, `"flac"`, `"ogg"`, `"mp3"`, `"playlist"` (a text that names
        other
        files: refused) or None.
    """
    file.seek(0)
    head = file.read(4096)
    if head[4:8] in _MP4_FIRST_BOXES:
        return "mp4"
    if head[:4] == _EBML_HEADER_ID.to_bytes(4, "big"):
        return "matroska"
    if head[:4] in (b"RIFF", b"RF64"):
        return {b"AVI ": "avi", b"WAVE": "wav"}.get(head[8:12])
    if head[:4] in (b"fLaC", b"OggS"):
        return "flac" if head[:4] == b"fLaC" else "ogg"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(
        (b"#extm3u", b"ffconcat", b"<?xml", b"<mpd", b"<smil", b"[playlist]", b"v=0", b"[stream")
    ):
        return "playlist"
    return "mp3" if head[:3] == b"ID3" or _is_mp3_frame(head.lstrip(b"\0")) else None


def missing_bytes(file: BinaryIO, container: str) -> int:
    """How many bytes at least are missing at the end of a file.

    Args:
        file: binary file object, at any position.
        container: str. What `sniff_container` returned.

    Returns:
        0 if everything announced is there, or if the container announces nothing that can be checked cheaply.
    """
    num_bytes = file.seek(0, os.SEEK_END)
    check = _CHECKS.get(container)
    return 0 if check is None else max(check(file, num_bytes), 0)


def _is_mp3_frame(head: bytes) -> bool:
    """True if the bytes begin with the header of an MPEG audio layer III frame."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = (head[1] >> 3) & 3, (head[1] >> 1) & 3
    bit_rate, sample_rate = head[2] >> 4, (head[2] >> 2) & 3
    return version != 1 and layer == 1 and bit_rate not in (0, 15) and sample_rate != 3


def _missing_mp4(file: BinaryIO, num_bytes: int) -> int:
    """Walks the outermost boxes. One that runs past the end was cut; without a `moov` nothing can be read."""
    position, kinds = 0, set()
    while position + 8 <= num_bytes:
        file.seek(position)
        head = file.read(16)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if not all(32 <= byte < 127 or byte == 0xA9 for byte in kind):
            break  # Padding or a tag after the last box: real files have that.
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size == 0:
            size = num_bytes - position
        if size < 8:
            break
        kinds.add(kind)
        position += size
    return max(position - num_bytes, 0 if b"moov" in kinds else 1)


def _missing_matroska(file: BinaryIO, num_bytes: int) -> int:
    """Reads the size of the Segment, which follows the EBML header and holds everything else."""
    position = 0
    for expected_id in (_EBML_HEADER_ID, _SEGMENT_ID):
        file.seek(position)
        head = file.read(12)
        if len(head) < 5 or int.from_bytes(head[:4], "big") != expected_id:
            return 1 if position >= num_bytes else 0
        width = 9 - head[4].bit_length()
        if head[4] == 0 or len(head) < 4 + width:
            return 1 if len(head) < 4 + width else 0
        size = int.from_bytes(head[4 : 4 + width], "big") & ((1 << 7 * width) - 1)
        position += 4 + width
        if size == (1 << 7 * width) - 1:
            return 0  # "Unknown size": a live recording.
        position += size
    return position - num_bytes


def _missing_riff(file: BinaryIO, num_bytes: int) -> int:
    """Compares the size of each outer RIFF chunk, and of the chunks of the first, with the file."""
    file.seek(0)
    head = file.read(12)
    size = int.from_bytes(head[4:8], "little")
    if head[:4] == b"RF64" or size in _STREAMED_RIFF_SIZES:
        return 0
    missing = _missing_chunks(file, 0, num_bytes)
    return missing or _missing_chunks(file, 12, min(8 + size, num_bytes))


def _missing_chunks(file: BinaryIO, position: int, end: int) -> int:
    while position + 8 <= end:
        file.seek(position)
        head = file.read(8)
        size = int.from_bytes(head[4:], "little")
        if not all(32 <= byte < 127 for byte in head[:4]) or size in _STREAMED_RIFF_SIZES[1:]:
            return 0  # Not a chunk but a tag after the last one, or a size left open.
        position += 8 + size
        if position > end:
            return position - end
        position += size % 2
    return 0


def _missing_ogg(file: BinaryIO, num_bytes: int) -> int:
    """Looks at the last page: it must be whole and carry the end-of-stream flag."""
    tail_start = max(num_bytes - 2 * 65307, 0)  # A page has at most 65307 bytes.
    file.seek(tail_start)
    tail = file.read()
    page = tail.rfind(b"OggS")
    if page < 0 or len(tail) < page + 27:
        return 1
    num_segments = tail[page + 26]
    lengths = tail[page + 27 : page + 27 + num_segments]
    missing = page + 27 + num_segments + sum(lengths) - len(tail)
    return max(missing, 0 if tail[page + 5] & 4 else 1)


_CHECKS = {
    "mp4": _missing_mp4,
    "matroska": _missing_matroska,
    "avi": _missing_riff,
    "wav": _missing_riff,
    "ogg": _missing_ogg,
}
