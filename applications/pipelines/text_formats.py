"""The texts of one file, one after the other: plain text, JSON lines or TFRecord, also packed by gzip."""

from __future__ import annotations

import gzip
import json
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.tfrecord import FRAME_BYTES, unframe_record

BadUtf8 = Literal["raise", "replace"]
MAX_TEXT_BYTES = 1 << 20  # a longer paragraph, line or record is several texts
MAX_ROW_BYTES = 1 << 26  # a longer line or record is taken for damage
_KINDS = (
    (re.compile(r"\.(jsonl|json|ndjson)$"), "json_lines"),
    (re.compile(r"\.tfrecords?(-\d+-of-\d+)?$"), "tfrecord"),
    (re.compile(r"\.(txt|text)$"), "plain"),
)


def kind_of(name: str) -> str | None:
    """What the name of a file says that it holds: `"plain"`, `"json_lines"`, `"tfrecord"` or None."""
    name = name.lower().removesuffix(".gz")
    return next((kind for pattern, kind in _KINDS if pattern.search(name)), None)


def texts_of_file(path: Path, *, field: str = "text", bad_utf8: BadUtf8 = "raise") -> Iterator[str]:
    """Reads a file from its start, without ever holding more than one text.

    In a plain text a blank line ends a text, and one of more than `MAX_TEXT_BYTES` is cut at a line's end or
    a space. A name that says nothing of a kind is read as plain text.

    Args:
        path: the file; `.gz` at the end of its name means gzip.
        field: name of the text in the objects of JSON lines and in the features of `tf.train.Example`.
        bad_utf8: "raise", or "replace" to put U+FFFD for what is not UTF-8.

    Yields:
        str, never blank.

    Raises:
        SourceError: if the file cannot be read, is damaged, lacks the field, or is not UTF-8; it names file,
            row and byte offset (of the unpacked content).
    """
    read = {"json_lines": _json_lines, "tfrecord": _tfrecord}.get(kind_of(path.name) or "", _plain)
    decode = _decoder(path, bad_utf8)
    try:
        with gzip.open(path, "rb") if path.name.lower().endswith(".gz") else open(path, "rb") as file:
            for text in read(file, path, field, decode):
                yield from (part for part in _parts_of(text) if part.strip())
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        reason = "truncated" if isinstance(error, EOFError) else "corrupt"
        raise SourceError(f"gzip: {error}", path=path, stage="read_source", reason=reason) from error
    except OSError as error:
        reason = "missing_file" if isinstance(error, FileNotFoundError) else "no_permission"
        raise SourceError(f"{error.strerror}.", path=path, stage="read_source", reason=reason) from error


def _parts_of(text: str) -> Iterator[str]:
    """A text, or the parts of one that is too long, so that memory is bounded whatever comes."""
    data = text.encode("utf-8") if len(text) > MAX_TEXT_BYTES // 4 else b""
    if len(data) <= MAX_TEXT_BYTES:
        yield text
        return
    start = 0
    while start < len(data):
        part = data[start : start + MAX_TEXT_BYTES]
        part = part[: _last_cut(part)] if start + len(part) < len(data) else part
        yield part.decode("utf-8").strip()
        start += len(part)


Decode = Callable[[bytes, int], str]


def _plain(file: BinaryIO, path: Path, field: str, decode: Decode) -> Iterator[str]:
    parts, start, offset = [], 0, 0
    for part in _lines(file):
        blank = not part.strip()
        if parts and (blank or offset + len(part) - start > MAX_TEXT_BYTES):
            yield decode(b"".join(parts), start).strip()
            parts = []
        if not blank:
            start = start if parts else offset
            parts.append(part)
        offset += len(part)
    if parts:
        yield decode(b"".join(parts), start).strip()


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file; one that is too long for a text comes in parts."""
    rest = b""
    while part := file.readline(MAX_TEXT_BYTES - len(rest)):
        part = rest + part
        cut = len(part)
        if len(part) >= MAX_TEXT_BYTES and not part.endswith(b"\n"):
            cut = _last_cut(part)
        yield part[:cut]
        rest = part[cut:]
    if rest:
        yield rest


def _last_cut(part: bytes) -> int:
    """Where to cut a part of a longer text: at a space, or else between two characters."""
    space = part.rfind(b" ")
    return space if space > len(part) // 2 else _whole_characters(part)


def _whole_characters(part: bytes) -> int:
    """Bytes of `part` without the last character, which may be cut."""
    cut = len(part) - 1
    while cut > len(part) - 4 and part[cut] & 0xC0 == 0x80:
        cut -= 1
    return cut


def _json_lines(file: BinaryIO, path: Path, field: str, decode: Decode) -> Iterator[str]:
    offset = 0
    for number, line in enumerate(iter(lambda: file.readline(MAX_ROW_BYTES + 1), b""), start=1):
        if len(line) > MAX_ROW_BYTES:
            raise _bad_row(path, f"line {number}", "the line is too long", "too_large")
        if line.strip():
            try:
                row = json.loads(decode(line, offset))
            except (ValueError, RecursionError) as error:
                raise _bad_row(path, f"line {number}", f"the line is no JSON: {error}") from error
            if not isinstance(row, dict) or not isinstance(row.get(field), str):
                raise _bad_row(path, f"line {number}", f"the line has no text under {field!r}")
            # JSON may spell half of a surrogate pair, which no UTF-8 can hold.
            yield decode(row[field].encode("utf-8", "surrogatepass"), offset)
        offset += len(line)


def _tfrecord(file: BinaryIO, path: Path, field: str, decode: Decode) -> Iterator[str]:
    import tensorflow as tf

    offset, number = 0, 0
    while header := file.read(12):
        number += 1
        size = struct.unpack("<Q", header[:8])[0] if len(header) == 12 else 0
        if size > MAX_ROW_BYTES:
            raise _bad_row(path, f"record {number}", "the record is too long", "too_large")
        payload = unframe_record(header + file.read(size + FRAME_BYTES - 12))
        if payload is None:
            raise _bad_row(path, f"record {number}", f"it is damaged or cut, at byte {offset}", "checksum")
        values = _bytes_of(tf.train.Example, payload, field)
        if len(values) != 1:
            raise _bad_row(path, f"record {number}", f"the record has no single text under {field!r}")
        yield decode(values[0], offset)
        offset += size + FRAME_BYTES


def _bytes_of(message: type, payload: bytes, field: str) -> list[bytes]:
    from google.protobuf.message import DecodeError

    try:
        features = message.FromString(payload).features.feature
    except DecodeError:
        return []
    return list(features[field].bytes_list.value) if field in features else []


def _decoder(path: Path, bad_utf8: BadUtf8) -> Decode:
    def decode(data: bytes, offset: int) -> str:
        try:
            return data.decode("utf-8", "replace" if bad_utf8 == "replace" else "strict")
        except UnicodeDecodeError as error:
            raise SourceError(
                f"The text is not UTF-8 at byte {offset + error.start}: {error.reason}.",
                path=path, row=f"byte {offset + error.start}", stage="read_source", reason="bad_encoding",
                advice='Save the file as UTF-8, or set `data.bad_utf8` to "replace".',
            ) from error  # fmt: skip

    return decode


def _bad_row(path: Path, row: str, message: str, reason: str = "bad_row") -> SourceError:
    return SourceError(message, path=path, row=row, stage="read_source", reason=reason)
