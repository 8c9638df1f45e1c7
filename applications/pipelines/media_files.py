"""Opens local files safely: regular files only, inside a root, never a pipe, a device or an address."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from zorro_keras.applications.pipelines.faults import MediaError
from zorro_keras.applications.pipelines.media_bytes import MediaBytes

# A pipe nobody writes to must not block `open`, and a link swapped in after the check must not be followed.
_FLAGS = (
    os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)


def open_local_file(
    path: str | Path | MediaBytes, *, root: str | Path | None = None, max_bytes: int
) -> BinaryIO:
    """Opens a regular, non-empty local file for reading.

    Args:
        path: str or Path. A file; links are followed first and must then lie inside `root`. Or `MediaBytes`.
        root: optional folder that the real file must lie in.
        max_bytes: int. Larger files are refused.

    Returns:
        A binary file object. It has no name, so whoever reads it can only judge by content.

    Raises:
        MediaError: `missing_file`, `not_a_file`, `no_permission`, `outside_root`, `zero_length`, `too_large`,
            or `refused_format` for an address.
    """
    if isinstance(path, MediaBytes):
        _check_size(path, len(path.data), max_bytes)
        return path.open()
    if "://" in str(path):
        raise _fault(path, "Only local files are read, never an address.", "refused_format")
    try:
        real_path = os.path.realpath(path, strict=True)
        _check_inside(path, real_path, root)
        descriptor = os.open(real_path, _FLAGS)
    except (OSError, ValueError) as error:
        raise _fault(path, *_explain(error)) from error
    try:
        _check_status(path, os.fstat(descriptor), max_bytes)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def lies_within(real_path: str, folder: str | Path) -> bool:
    """Whether a path without links, as `os.path.realpath` gives it, is a folder or lies in it."""
    return Path(real_path).is_relative_to(os.path.realpath(folder))


def _check_inside(path: str | Path, real_path: str, root: str | Path | None) -> None:
    if root is not None and not lies_within(real_path, root):
        raise _fault(path, f"The file lies outside the root {os.path.realpath(root)}.", "outside_root")


def _check_status(path: str | Path, status: os.stat_result, max_bytes: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _fault(path, "This is not a regular file.", "not_a_file")
    _check_size(path, status.st_size, max_bytes)


def _check_size(path: str | Path | MediaBytes, num_bytes: int, max_bytes: int) -> None:
    if num_bytes == 0:
        raise _fault(path, "The file is empty.", "zero_length")
    if num_bytes > max_bytes:
        message = f"The file has {num_bytes} bytes, more than the {max_bytes} allowed."
        raise _fault(path, message, "too_large")


def _explain(error: OSError | ValueError) -> tuple[str, str]:
    """A sentence and a reason for a file that the operating system would not open."""
    if isinstance(error, PermissionError):
        return "The file may not be read.", "no_permission"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "There is no such file.", "missing_file"
    return f"The file cannot be opened: {error}", "missing_file"


def _fault(path: str | Path | MediaBytes, message: str, reason: str) -> MediaError:
    return MediaError(message, path=path, stage="open", reason=reason)
