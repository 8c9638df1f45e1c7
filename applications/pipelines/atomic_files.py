"""Files that are either whole or not there, whenever the machine stops; and one writer at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from typing import BinaryIO

from zorro_keras.applications.pipelines.faults import ShardError

TEMPORARY_SUFFIX = ".tmp"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class HashedFile:
    """A file being written, its size and its SHA-256 so far."""

    def __init__(self, path: str, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._digest = hashlib.sha256()
        self.num_bytes = 0

    def write(self, data: bytes) -> None:
        """Appends `data`."""
        with clear_write_errors(self._path):
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]  # a disk that fills up may take a part only
        self._digest.update(data)
        self.num_bytes += len(data)

    @property
    def sha256(self) -> str:
        """Hash of all bytes written, in hex."""
        return self._digest.hexdigest()


@contextlib.contextmanager
def atomic_file(path: str) -> Iterator[HashedFile]:
    """Writes `path` under a temporary name; on success it is on the disk before it gets its name.

    Raises:
        ShardError: If the disk is full or the folder may not be written to. What stood at `path` before
            stays.
    """
    temporary = path + TEMPORARY_SUFFIX
    try:
        with clear_write_errors(path):
            file = open(temporary, "wb", buffering=0)  # noqa: SIM115  (a buffer would fail again when closed)
        with file:
            yield HashedFile(path, file)
            with clear_write_errors(path):
                os.fsync(file.fileno())
        with clear_write_errors(path):
            os.replace(temporary, path)
            sync_folder(os.path.dirname(path))
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        raise


def sync_folder(path: str) -> None:
    """Brings the names in a folder to the disk."""
    descriptor = os.open(path or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def clear_write_errors(path: str) -> Iterator[None]:
    """Turns what the system says about a failed write into a `ShardError`."""
    try:
        yield
    except OSError as error:
        full = error.errno in _FULL
        raise ShardError(
            f"The disk is full: {error.strerror}." if full else f"Writing is not possible: {error.strerror}.",
            path=path,
            stage="prepare",
            reason="disk_full" if full else "not_writable",
        ) from error


@contextlib.contextmanager
def one_writer(folder: str) -> Iterator[None]:
    """Holds `folder` against other writers; the system lets go of it however this process ends.

    Raises:
        ShardError: If another process holds the folder, or it may not be written to.
    """
    with clear_write_errors(folder):
        os.makedirs(folder, exist_ok=True)
        lock = open(os.path.join(folder, ".lock"), "ab")  # noqa: SIM115  (closed below, which frees the lock)
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ShardError(
                "Another process is writing to this folder.", path=folder, stage="prepare", reason="locked"
            ) from error
        yield
