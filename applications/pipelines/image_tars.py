"""Where each file lies inside a tar, so that it is read by offset: nothing is ever unpacked.

The index of a tar is made once and kept beside it, or made again where the folder may not be written to.
"""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from zorro_keras.applications.pipelines.faults import SourceError

INDEX_SUFFIX = ".index.npz"
_BLOCK = 512
# `tarfile` trusts the numbers in headers, and reads a header that describes the next one within itself.
_NO_TAR = (tarfile.TarError, ValueError, IndexError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True)
class TarMember:
    """A file inside a tar.

    Attributes:
        name: str. `inner.tar/name` for a file of a tar in the tar.
        offset: int. Where its bytes start in the outer tar.
        num_bytes: int.
    """

    name: str
    offset: int
    num_bytes: int


def index_tar(path: str) -> list[TarMember]:
    """Lists the regular files of a tar, and of the tars directly inside it, in the order in which they stand.

    Args:
        path: str. An uncompressed tar.

    Returns:
        list of `TarMember`.

    Raises:
        SourceError: `missing_file`, `corrupt` if it is no tar, `refused_format` if it is compressed,
            `truncated` if it, or a tar inside it, ends early.
    """
    stamp = _stamp(path)
    members = _load(path, stamp)
    if members is None:
        members = _scan(path)
        _keep(path, stamp, members)
    return members


def walk_tar(path: str) -> Iterator[TarMember]:
    """The regular files of a tar, in the order in which they stand. Nothing is written beside it.

    Raises:
        SourceError: as `index_tar`, if need be after the last file that can be found.
    """
    with open(path, "rb") as file:
        if file.read(2) == b"\x1f\x8b":
            raise _fault(
                path, "A compressed tar cannot be read by offset.", "refused_format", "Unpack the gzip."
            )
        yield from _members_of(file, path, 0, os.path.getsize(path))


def _scan(path: str) -> list[TarMember]:
    members = []
    with open(path, "rb") as file:
        for member in list(walk_tar(path)):  # all of it first: a cut tar is refused for being cut
            if not member.name.endswith(".tar"):
                members.append(member)
                continue
            inside = _members_of(file, f"{path}/{member.name}", member.offset, member.num_bytes)
            members.extend(
                TarMember(f"{member.name}/{inner.name}", inner.offset, inner.num_bytes) for inner in inside
            )
    return members


def _members_of(file: io.BufferedReader, place: str, start: int, num_bytes: int) -> Iterator[TarMember]:
    """The regular files of one tar that lies at `[start, start + num_bytes)` of `file`."""
    part, end = _Part(file, start, num_bytes), 0
    try:
        with tarfile.open(fileobj=part, mode="r:") as tar:
            for member in tar:
                end = tar.offset
                if member.isreg() and not member.issparse():  # a file with holes is no stretch of the tar
                    yield TarMember(member.name, start + member.offset_data, member.size)
    except _NO_TAR as error:
        cut = "unexpected end" in str(error)
        message = "The tar ends within a file." if cut else f"This is not a tar: {error}."
        raise _fault(place, message, "truncated" if cut else "corrupt") from error
    # A tar cut between two files looks whole but for the empty block that ends it.
    part.seek(end)
    if part.read(_BLOCK) != bytes(_BLOCK):
        raise _fault(place, "The tar lacks the empty block that ends it: it was cut.", "truncated")


class _Part(io.RawIOBase):
    """A stretch of a file as a file of its own."""

    def __init__(self, file: io.BufferedReader, start: int, num_bytes: int) -> None:
        super().__init__()
        self._file, self._start, self._num_bytes, self._place = file, start, num_bytes, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._num_bytes}[whence]
        self._place = base + offset
        return self._place

    def read(self, size: int = -1) -> bytes:
        left = max(self._num_bytes - self._place, 0)
        self._file.seek(self._start + self._place)
        data = self._file.read(left if size < 0 else min(size, left))
        self._place += len(data)
        return data


def _stamp(path: str) -> np.ndarray:
    try:
        status = os.stat(path)
    except OSError as error:
        raise _fault(path, f"The tar cannot be opened: {error.strerror}.", "missing_file") from error
    return np.array([status.st_size, status.st_mtime_ns])


def _load(path: str, stamp: np.ndarray) -> list[TarMember] | None:
    """The index kept beside a tar; None if there is none, or it is of another tar."""
    try:
        with np.load(path + INDEX_SUFFIX, allow_pickle=False) as index:
            if not np.array_equal(index["stamp"], stamp):
                return None
            names = index["names"].tobytes().decode("utf-8").split("\n")
            rows = zip(names, index["offsets"].tolist(), index["sizes"].tolist(), strict=True)
            return [TarMember(*row) for row in rows]
    except (OSError, ValueError, KeyError, EOFError):
        return None


def _keep(path: str, stamp: np.ndarray, members: list[TarMember]) -> None:
    if not members or any("\n" in member.name or not _is_text(member.name) for member in members):
        return
    temporary = f"{path}.index.{os.getpid()}.tmp.npz"
    with contextlib.suppress(OSError):  # a folder that may not be written to: made again next time
        np.savez(
            temporary,
            stamp=stamp,
            names=np.frombuffer("\n".join(member.name for member in members).encode(), np.uint8),
            offsets=np.array([member.offset for member in members]),
            sizes=np.array([member.num_bytes for member in members]),
        )
        os.replace(temporary, path + INDEX_SUFFIX)


def _is_text(name: str) -> bool:
    return name == name.encode("utf-8", "ignore").decode()


def _fault(path: str, message: str, reason: str, advice: str = "") -> SourceError:
    return SourceError(message, path=path, stage="read_source", reason=reason, advice=advice)
