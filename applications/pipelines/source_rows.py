"""From the rows of a list of clips to checked entries: every bad row is found and named before anything
else happens.
"""

from __future__ import annotations

import math
import os
import posixpath
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from zorro_keras.applications.pipelines.clip_parts import ClipParts
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.media_files import lies_within

SPLITS = ("train", "val", "test")
ROWS_SHOWN = 20
MAX_INDEX = 100_000  # a label number beyond this is a mistake, not a class
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class SourceRow:
    """One row as written down, unchecked.

    Attributes:
        place: str. Where a person finds it: `"line 7"` or the path of a file.
        path: str. The file, relative to the root of the source.
        labels: tuple of str; None where the source has no labels at all.
        start, end: str. Seconds, or blank.
        split: str or `None`. `None` where the source names no splits at all.
        sound: str. Another file that has the sound, or blank.
        pictures: tuple of str. Files of a picture each, in their order, where no media file has them.
    """

    place: str
    path: str
    labels: tuple[str, ...] | None
    start: str = ""
    end: str = ""
    split: str | None = None
    sound: str = ""
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClipEntry:
    """One clip of a source.

    Attributes:
        id: str. Unique in the source: the path relative to its root with forward slashes, then `@start-end`
            in seconds where the source gives times.
        path: str. The media file, ready to be opened.
        label_indices: tuple of ints, ascending, into the source's `label_names`; empty without labels.
        start_seconds, end_seconds: float or `None`. The part of the file meant; `None` for its start or end.
        split: str. `"train"`, `"val"` or `"test"`.
        num_bytes: int. Size of the file.
    """

    id: str
    path: str
    label_indices: tuple[int, ...]
    start_seconds: float | None
    end_seconds: float | None
    split: str
    num_bytes: int = 0

    parts: ClassVar[ClipParts | None] = None  # of a clip that is one file


@dataclass(frozen=True)
class PartedEntry(ClipEntry):
    """A clip of several files. Its `path` is one of them, `num_bytes` are those of all.

    Attributes:
        parts: `ClipParts`.
    """

    parts: ClipParts | None = None


class BadRowsError(SourceError):
    """Rows of a source that cannot be used. `problems` holds a `SourceError` for every one of them."""

    def __init__(self, message: str, *, problems: Sequence[SourceError] = (), **details: Any) -> None:
        super().__init__(message, **details)
        self.problems = tuple(problems)

    def _details(self) -> dict[str, Any]:
        return {**super()._details(), "problems": self.problems}

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "problems": [problem.to_json() for problem in self.problems]}


def raise_problems(path: str, problems: Sequence[SourceError]) -> None:
    """Raises one `BadRowsError` that shows the first 20 of `problems` and counts the rest; none, no error."""
    if not problems:
        return
    shown = [f"  {problem.row}: {problem.reason}: {problem.message}" for problem in problems[:ROWS_SHOWN]]
    if len(problems) > ROWS_SHOWN:
        shown.append(f"  ... and {len(problems) - ROWS_SHOWN} more")
    reasons = {problem.reason for problem in problems}
    raise BadRowsError(
        f"{len(problems)} rows of the source cannot be used:\n" + "\n".join(shown),
        problems=problems,
        path=path,
        stage="read_source",
        reason=reasons.pop() if len(reasons) == 1 else "bad_row",
        advice="" if not reasons else "Correct the rows named.",
    )


class RowChecker:
    """Turns rows into entries and collects what is wrong with the others.

    Args:
        root: str. Folder the paths are relative to and may not leave.
        label_names: optional sequence of str. The labels allowed, in the order of their indices. By default
            the labels found, sorted; labels that are numbers are indices.
    """

    def __init__(self, root: str, label_names: Sequence[str] | None = None) -> None:
        self.root = os.path.realpath(root)
        self.label_names = label_names
        self.problems: list[SourceError] = []
        self._first_places: dict[str, str] = {}

    def check(self, rows: Iterable[SourceRow]) -> list[tuple[SourceRow, ClipEntry]]:
        """Checks all rows. Sets `label_names`. The entries' split is empty where the row has none."""
        rows = list(rows)
        indices = self._index_labels(rows)
        entries = [(row, self._check_row(row, indices)) for row in rows]
        return [(row, entry) for row, entry in entries if entry is not None]

    def _check_row(self, row: SourceRow, indices: dict[str, int]) -> ClipEntry | None:
        before = len(self.problems)
        given = row.labels or ()
        if not all(_is_text(cell) for cell in _texts_of(row)):
            self._add(row, "bad_encoding", "holds bytes that are not UTF-8")
            return None
        name, num_bytes = self._check_path(row, row.path)
        labels = tuple(sorted({index for label in given if (index := indices.get(label)) is not None}))
        self._check_labels(row, indices)
        before_times = len(self.problems)
        start, end = self._check_times(row)
        has_times = len(self.problems) == before_times
        if row.split is not None and row.split not in SPLITS:
            self._add(row, "bad_split", f"the split must be one of {SPLITS}. Received: {row.split!r}")
        clip_id = name
        if start is not None or end is not None:
            clip_id = f"{name}@{start or 0.0}-{'' if end is None else end}"
        if name and has_times:
            self._check_is_new(row, clip_id)
        parts = {path: self._check_path(row, path) for path in (*row.pictures, row.sound) if path}
        if len(self.problems) > before:
            return None
        entry = (clip_id, self._full(name), labels, start, end, row.split or "")
        if not parts:
            return ClipEntry(*entry, num_bytes)
        pictures = tuple(self._full(parts[path][0]) for path in row.pictures) or self._full(name)
        sound = self._full(parts[row.sound][0]) if row.sound else None
        num_bytes = sum(dict([(name, num_bytes), *parts.values()]).values())
        return PartedEntry(*entry, num_bytes, ClipParts(pictures, sound))

    def _full(self, name: str) -> str:
        return os.path.join(self.root, *name.split("/"))

    def _check_path(self, row: SourceRow, path: str) -> tuple[str, int]:
        """The path in its shortest form, relative to the root, and the file's size; blank where it is no
        good.
        """
        if not path.strip() or "\0" in path:
            self._add(row, "bad_row", f"the path is blank or no path. Received: {path!r}")
            return "", 0
        full = os.path.normpath(os.path.join(self.root, path))
        name = os.path.relpath(full, self.root).replace(os.sep, "/")
        if posixpath.normpath(name).split("/")[0] == "..":
            self._add(row, "outside_root", f"{path!r} lies outside of {self.root!r}")
            return "", 0
        try:
            status = os.stat(full)
        except OSError as error:
            reason = "no_permission" if isinstance(error, PermissionError) else "missing_file"
            self._add(row, reason, f"{path!r} cannot be found: {error.strerror}")
            return name, 0
        if not stat.S_ISREG(status.st_mode):
            self._add(row, "not_a_file", f"{path!r} is not a regular file")
        elif not lies_within(os.path.realpath(full), self.root):
            self._add(row, "outside_root", f"{path!r} is a link that leaves {self.root!r}")
        return name, status.st_size

    def _check_labels(self, row: SourceRow, indices: dict[str, int]) -> None:
        unknown = [label for label in row.labels or () if label not in indices]
        if row.labels is None:
            return
        if not row.labels:
            self._add(
                row, "bad_label",
                "the file does not lie directly in a class folder. Place it as CLASS/FILE or "
                "SPLIT/CLASS/FILE, with a SPLIT such as train, val or test, or list all files in a CSV",
            )  # fmt: skip
        elif "" in row.labels:
            self._add(row, "bad_label", "a label is empty")
        elif unknown:
            known = ", ".join(map(repr, (self.label_names or ())[:5]))
            self._add(row, "bad_label", f"{unknown[0]!r} is not a label of this source ({known}, ...)")

    def _check_times(self, row: SourceRow) -> tuple[float | None, float | None]:
        start, end = (
            self._check_time(row, name, text) for name, text in (("start", row.start), ("end", row.end))
        )
        if start is not None and end is not None and start >= end:
            self._add(row, "bad_time", f"start must be before end. Received: start={start}, end={end}")
        elif end == 0.0:
            self._add(row, "bad_time", "end must be after 0. Received: end=0.0")
        return start, end

    def _check_time(self, row: SourceRow, name: str, text: str) -> float | None:
        if not text.strip():
            return None
        seconds = float(text) if _NUMBER.fullmatch(text.strip()) else math.nan
        if not (math.isfinite(seconds) and seconds >= 0):
            self._add(row, "bad_time", f"{name} must be a number of seconds from 0. Received: {text!r}")
            return None
        return seconds

    def _index_labels(self, rows: list[SourceRow]) -> dict[str, int]:
        """The index of each label as written. Numbers are indices, unless they are names of given labels."""
        found = {label for row in rows for label in row.labels or () if label and _is_text(label)}
        numbers = {label for label in found if _NUMBER.fullmatch(label)}
        whole = {label: int(label) for label in numbers if label.isdecimal() and int(label) <= MAX_INDEX}
        if self.label_names is None and len(numbers) * 2 > len(found):
            self.label_names = tuple(str(index) for index in range(max(whole.values(), default=-1) + 1))
        elif self.label_names is None:
            self.label_names = tuple(sorted(found - numbers))  # a number among names is a slip, not a name
            whole = {}
        names = {name: index for index, name in enumerate(self.label_names)}
        return {label: index for label, index in whole.items() if index < len(names)} | names

    def _check_is_new(self, row: SourceRow, clip_id: str) -> None:
        first = self._first_places.setdefault(clip_id, row.place)
        if first != row.place:
            self._add(row, "duplicate_id", f"the clip {clip_id!r} is listed already at {first}")

    def _add(self, row: SourceRow, reason: str, message: str) -> None:
        self.problems.append(
            SourceError(message, path=row.path, row=row.place, stage="read_source", reason=reason)
        )


def _texts_of(row: SourceRow) -> list[str]:
    return [row.path, *(row.labels or ()), row.start, row.end, row.split or "", row.sound, *row.pictures]


def _is_text(cell: str) -> bool:
    """False where reading had to smuggle in bytes that are not UTF-8."""
    return not any("\ud800" <= letter <= "\udfff" for letter in cell)
