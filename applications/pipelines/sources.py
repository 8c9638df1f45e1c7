"""Lists of clips: class folders, or a CSV. Everything that can be wrong with a list is found before it is
used.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.source_csv import read_csv_rows
from zorro_keras.applications.pipelines.source_rows import (
    SPLITS,
    ClipEntry,
    RowChecker,
    SourceRow,
    raise_problems,
)

MEDIA_SUFFIXES = (".avi", ".flac", ".m4a", ".m4v", ".mkv", ".mov", ".mp3", ".mp4", ".ogg", ".wav", ".webm")


@dataclass(frozen=True)
class Source:
    """A checked list of clips.

    Attributes:
        entries: tuple of `ClipEntry`, in order of their ids.
        label_names: tuple of str. Sorted, unless the caller gave them.
        multi_label: bool. Some clip has more than one label.
        root: str. Folder that holds all files.
        ignored: tuple of str. Files beside the clips that are no media by their suffix.
        layout: str. Whose files they are, where that was recognised.
    """

    entries: tuple[ClipEntry, ...]
    label_names: tuple[str, ...]
    multi_label: bool
    root: str
    ignored: tuple[str, ...] = ()
    layout: str = ""

    def split(self, name: str) -> Source:
        """The part of the source in one split; it may be empty."""
        if name not in SPLITS:
            raise ValueError(f"`name` must be one of {SPLITS}. Received: name={name!r}")
        return replace(self, entries=tuple(entry for entry in self.entries if entry.split == name))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over ids, labels, times, splits and file sizes: the same data, wherever it lies."""
        digest = hashlib.sha256(json.dumps(self.label_names).encode())
        for entry in self.entries:
            digest.update(json.dumps([entry.id, entry.label_indices, entry.split, entry.num_bytes]).encode())
        return digest.hexdigest()


def read_source(
    path: str | os.PathLike,
    *,
    label_names: Sequence[str] | None = None,
    test_fraction: float = 0.1,
    seed: int = 0,
    suffixes: tuple[str, ...] = MEDIA_SUFFIXES,
) -> Source:
    """Reads and checks a list of clips.

    Args:
        path: str or path. A folder of class folders, which may stand under split folders `train`, `val` and
            `test`; or a CSV file with the columns `path`, `label` and optionally `start`, `end` (seconds)
            and `split`, its paths relative to its folder and its labels, if several, separated by `;`.
        label_names: optional sequence of str. The labels allowed, in the order of their indices; a label
            that is a whole number is then an index. By default the labels found, sorted.
        test_fraction: float in [0, 1). Share of the files of each class put into the split `test` where the
            source names no splits.
        seed: int. Chooses that share.
        suffixes: tuple of str, lower case. Files of class folders that count; the others are `ignored`.

    Returns:
        A `Source`.

    Raises:
        ValueError: If an argument is out of its range.
        SourceError: If the source cannot be read, is empty, or has bad rows: all of them are in `problems`,
            the first 20 in the message.
    """
    path = os.fspath(path)
    _check_arguments(label_names, test_fraction)
    if os.path.isdir(path):
        root, (rows, ignored), problems = path, _list_class_folders(path, suffixes), []
    elif os.path.isfile(path):
        root, ignored = os.path.dirname(path) or ".", ()
        rows, problems = read_csv_rows(path)
    else:
        raise SourceError(
            "The source must be a folder or a CSV file.",
            path=path,
            stage="read_source",
            reason="missing_file",
        )
    checker = RowChecker(root, None if label_names is None else tuple(label_names))
    checker.problems.extend(problems)
    entries = [entry for _, entry in checker.check(rows)]
    raise_problems(path, sorted(checker.problems, key=_line_of))
    if not entries:
        raise SourceError("The source holds no clips.", path=path, stage="read_source", reason="empty_source")
    if rows[0].split is None:
        entries = _deal_splits(entries, test_fraction, seed)
    return Source(
        entries=tuple(sorted(entries, key=lambda entry: entry.id)),
        label_names=tuple(checker.label_names),
        multi_label=any(len(entry.label_indices) > 1 for entry in entries),
        root=checker.root,
        ignored=tuple(ignored),
    )


def _check_arguments(label_names: Sequence[str] | None, test_fraction: float) -> None:
    if not 0.0 <= test_fraction < 1.0:
        raise ValueError(f"`test_fraction` must be within [0, 1). Received: test_fraction={test_fraction}")
    if label_names is not None and (not label_names or len(set(label_names)) < len(label_names)):
        raise ValueError(
            f"`label_names` must be distinct and at least one. Received: label_names={label_names}"
        )


def _line_of(problem: SourceError) -> tuple[int, str]:
    place = str(problem.row)
    return (int(place.removeprefix("line ")), "") if place.startswith("line ") else (0, place)


def _list_class_folders(root: str, suffixes: tuple[str, ...]) -> tuple[list[SourceRow], list[str]]:
    """The files of all class folders with one of the suffixes, and the other files found."""
    folders, files = _children(root)
    if folders and set(folders) <= set(SPLITS):
        levels = [(split, os.path.join(root, split)) for split in folders]
    elif "train" in folders and {"val", "test"} & set(folders):
        others = sorted(set(folders) - set(SPLITS))
        raise SourceError(
            f"A folder holds either split folders or class folders. Received: train beside {others[:5]}",
            path=root,
            stage="read_source",
            reason="bad_split",
        )
    else:
        levels = [(None, root)]
    rows, ignored = [], [] if levels[0][0] is None else files
    for split, level in levels:
        for directory, folders, names in os.walk(level, followlinks=True):
            where = os.path.relpath(directory, level)
            deep = where.count(os.sep) >= 4  # a link to a folder above would never end
            folders[:] = [] if deep else sorted(name for name in folders if not name.startswith("."))
            labels = () if where == "." or os.sep in where else (where,)
            for name in sorted(names):
                place = os.path.relpath(os.path.join(directory, name), root)
                if name.lower().endswith(suffixes) and not name.startswith("."):
                    rows.append(SourceRow(place, place, labels, split=split))
                else:
                    ignored.append(place)
    return rows, ignored


def _children(folder: str) -> tuple[list[str], list[str]]:
    """Names of the folders and of the files in a folder, sorted, without the hidden ones."""
    with os.scandir(folder) as entries:
        shown = sorted(
            (entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name
        )
    return (
        [entry.name for entry in shown if entry.is_dir()],
        [entry.name for entry in shown if not entry.is_dir()],
    )


def _deal_splits(entries: list[ClipEntry], test_fraction: float, seed: int) -> list[ClipEntry]:
    """Puts a share of each class into `test`. Parts of one file stay together, so that no file is in both
    splits.
    """
    files: dict[int, dict[str, list[ClipEntry]]] = {}
    for entry in sorted(entries, key=lambda entry: entry.id):
        files.setdefault(entry.label_indices[0], {}).setdefault(entry.path, []).append(entry)
    split_of: dict[str, str] = {}
    for group in files.values():
        names = sorted(group, key=lambda path: _draw(seed, group[path][0].id))
        for rank, name in enumerate(names):
            split_of.setdefault(name, "test" if rank < round(test_fraction * len(names)) else "train")
    return [replace(entry, split=split_of[entry.path]) for entry in entries]


def _draw(seed: int, clip_id: str) -> bytes:
    return hashlib.sha256(f"{seed}:{clip_id}".encode()).digest()
