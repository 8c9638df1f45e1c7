"""Lists of clips: a public data set as people have it, class folders, or a CSV. Everything that can be wrong
with a list is found before it is used.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from zorro_keras.applications.pipelines.clip_class_folders import IsClip
from zorro_keras.applications.pipelines.clip_layouts import read_listing
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.held_out import held_out
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
        label_names: tuple of str. Those of the caller, those of the data set in its order, or those found,
            sorted. Empty where clips have no labels.
        multi_label: bool. Some clip has more than one label.
        root: str. Folder that holds all files.
        ignored: tuple of str. Files beside the clips: no media by their suffix, or on no list.
        layout: str. What the source was recognised as, such as "AudioSet" or "class folders".
        official: dict from the name of an official list to how many clips are on it; empty without lists.
        missing: dict from the name of an official list to the ids on it that no file belongs to. That is no
            fault: videos vanish.
        sources: dict from a name to the `Source` of that name, where several were joined; else empty.
    """

    entries: tuple[ClipEntry, ...]
    label_names: tuple[str, ...]
    multi_label: bool
    root: str
    ignored: tuple[str, ...] = ()
    layout: str = ""
    official: Mapping[str, int] = field(default_factory=dict)
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)

    def root_of(self, entry: ClipEntry) -> str:
        """Folder that holds the files of a clip, which it may not leave: of several sources, its own."""
        return self.sources.get(entry.id.partition("/")[0], self).root

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
    test_fold: int | None = None,
    suffixes: tuple[str, ...] = MEDIA_SUFFIXES,
    is_clip: IsClip | None = None,
) -> Source:
    """Reads and checks a list of clips.

    Args:
        path: str or path. A folder of AudioSet, VGGSound, Kinetics or ESC-50, of "path label" lists or of
            lists of ids, recognised by what is in it: see the `clip_*.py` of each. Or a folder of class
            folders, which may stand under split folders `train`, `val` and `test`; one list of "path label"
            lines or of ids; or a CSV file with the columns `path`, `label` and optionally `start`, `end`
            (seconds) and `split`, its paths relative to its folder and its labels, if several, separated by
            `;`.
        label_names: optional sequence of str. The labels allowed, in the order of their indices; a label
            that is a whole number is then an index. By default those of the data set, or those found, sorted.
        test_fraction: float in [0, 1). Share of the files of each class put into the split `test` where the
            source names no splits: at least one of several. What was trained on is not held out when others
            come, but for a file that was alone in its class, or the one left where all fell into the share.
        seed: int. Chooses that share.
        test_fold: optional int. The fold of ESC-50 that becomes the split `test`; the first by default.
        suffixes: tuple of str, lower case. Files of folders that count; the others are `ignored`.
        is_clip: optional function of a path. Whether a file of another suffix in class folders counts, too.

    Returns:
        A `Source`.

    Raises:
        ValueError: If an argument is out of its range.
        SourceError: If the source cannot be read, is empty, or has bad rows: all of them are in `problems`,
            the first 20 in the message.
    """
    path = os.fspath(path)
    _check_arguments(label_names, test_fraction)
    listing = read_listing(path, suffixes, test_fold, is_clip)
    checker = RowChecker(listing.root, listing.label_names if label_names is None else tuple(label_names))
    checker.problems.extend(listing.problems)
    entries = [entry for _, entry in checker.check(listing.rows)]
    raise_problems(path, sorted(checker.problems, key=_line_of))
    if not entries:
        raise SourceError("The source holds no clips.", path=path, stage="read_source", reason="empty_source")
    if not _names_splits(listing.rows, path):
        entries = _deal_splits(entries, test_fraction, seed)
    return Source(
        entries=tuple(sorted(entries, key=lambda entry: entry.id)),
        label_names=tuple(checker.label_names),
        multi_label=any(len(entry.label_indices) > 1 for entry in entries),
        root=checker.root,
        ignored=tuple(listing.ignored),
        layout=listing.layout,
        official=listing.official,
        missing=listing.missing,
    )


def _check_arguments(label_names: Sequence[str] | None, test_fraction: float) -> None:
    if not 0.0 <= test_fraction < 1.0:
        raise ValueError(f"`test_fraction` must be within [0, 1). Received: test_fraction={test_fraction}")
    if label_names is not None and (not label_names or len(set(label_names)) < len(label_names)):
        raise ValueError(
            f"`label_names` must be distinct and at least one. Received: label_names={label_names}"
        )


def _names_splits(rows: Sequence[SourceRow], path: str) -> bool:
    """Whether the rows say which split they belong to. Raises a `SourceError` if only some of them do."""
    silent = [row for row in rows if row.split is None]
    if silent and len(silent) < len(rows):
        raise SourceError(
            f"Either all clips name their split or none. Received: {len(silent)} of {len(rows)} that do not, "
            f"the first: {silent[0].path!r}",
            path=path, stage="read_source", reason="bad_split",
            advice="Take away the list without a split, such as `ids.txt` beside `test_ids.txt`, or name it.",
        )  # fmt: skip
    return not silent


def _line_of(problem: SourceError) -> tuple[int, str]:
    place = str(problem.row)
    return (int(place.removeprefix("line ")), "") if place.startswith("line ") else (0, place)


def _deal_splits(entries: list[ClipEntry], test_fraction: float, seed: int) -> list[ClipEntry]:
    """Puts a share of each class into `test`, at least one file of several. Parts of one file stay together,
    so that no file is in both splits: by the first label of its first part.
    """
    files: dict[tuple[int, ...], dict[str, list[ClipEntry]]] = {}
    for entry in sorted(entries, key=lambda entry: entry.id):
        files.setdefault(entry.label_indices[:1], {}).setdefault(entry.path, []).append(entry)
    split_of: dict[str, str] = {}
    for group in files.values():
        digests = {path: _draw(seed, _file_of(found[0])) for path, found in group.items()}
        tested = held_out(digests, test_fraction)
        for name in digests:
            split_of.setdefault(name, "test" if name in tested else "train")
    return [replace(entry, split=split_of[entry.path]) for entry in entries]


def _file_of(entry: ClipEntry) -> str:
    """The file, relative to the root, whatever part of it is meant: parts may come and go."""
    is_whole = entry.start_seconds is None and entry.end_seconds is None
    return entry.id if is_whole else entry.id.rpartition("@")[0]


def _draw(seed: int, file: str) -> bytes:
    return hashlib.sha256(f"{seed}:{file}".encode()).digest()
