"""What one reading of each text file found, kept from one start to the next where the files are large."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

CACHED_BYTES = 1 << 26  # what is smaller altogether is read again in a second
SETTLED_NS = 2 * 10**9  # a file that changed later than this before it is read may change again unnoticed


@dataclasses.dataclass(frozen=True)
class FileScan:
    """What one reading of a file found.

    Attributes:
        num_texts: dict of split to number of texts.
        digest: str. Hash of all its texts and their order, in hex.
    """

    num_texts: dict[str, int]
    digest: str


def scan_files(
    paths: Sequence[Path], scan: Callable[[Path], FileScan], settings: Sequence[Any]
) -> tuple[FileScan, ...]:
    """Scans files, those that have not changed since from memory.

    A file is known by its size and the time of its last change. What was found is written down after each
    `CACHED_BYTES`, in one piece, in the user's folder for such things (`XDG_CACHE_HOME`); where that cannot
    be written, all files are read each time.

    Args:
        paths: the files.
        scan: reads one.
        settings: what the result depends on beside the file; plain data.
    """
    if sum(path.stat().st_size for path in paths) < CACHED_BYTES:
        return tuple(map(scan, paths))
    place = _place(paths, settings)
    known, found, unsaved = _read(place), [], 0
    for path in paths:
        state, name = _state(path), os.path.realpath(path)
        row = known.get(name, {})
        if row.get("state") == state:
            found.append(FileScan(row["num_texts"], row["digest"]))
            continue
        settled = time.time_ns() - state[1] > SETTLED_NS
        found.append(scan(path))
        if settled and _state(path) == state:
            known[name] = {"state": state, **dataclasses.asdict(found[-1])}
            unsaved += state[0]
        if unsaved >= CACHED_BYTES:
            _write(place, known)
            unsaved = 0
    if unsaved:
        _write(place, known)
    return tuple(found)


def _state(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _place(paths: Sequence[Path], settings: Sequence[Any]) -> Path:
    about = [os.path.realpath(os.path.commonpath(paths)), *settings]
    name = hashlib.sha256(json.dumps(about).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home) / "zorro_keras" / "text_scans" / f"{name}.json"


def _read(place: Path) -> dict[str, Any]:
    try:
        known = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _write(place: Path, known: dict[str, Any]) -> None:
    """Writes what is known, whole or not at all, also beside another process that does the same."""
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=place.parent)
        try:
            with open(handle, "w", encoding="utf-8") as file:
                json.dump(known, file)
            os.replace(partial, place)
        except BaseException:
            os.remove(partial)
            raise
