"""What a layout of clips lists, before any of it is checked, and how the files of a folder are walked."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.media_files import lies_within
from zorro_keras.applications.pipelines.source_rows import SourceRow

# Where people keep the lists of a data set: above the clips, or in one of these folders there.
LIST_FOLDERS = ("", "annotations", "csv", "data", "lists", "meta", "metadata", "segments")
_MAX_PATHS = 10_000  # that lead to one folder, through links
_MAX_BEGINNING = 1 << 16  # what is no list may be one long line


@dataclass(frozen=True)
class ClipListing:
    """The clips of a source, unchecked.

    Attributes:
        layout: str. What people call it, such as "AudioSet".
        root: str. Folder that the paths of the rows are relative to.
        rows: sequence of `SourceRow`.
        label_names: optional tuple of str. The classes in their official order; by default those found.
        ignored: sequence of str. Files below the root that no row names.
        problems: sequence of `SourceError`, of rows that cannot be read.
        official: dict from the name of an official list to how many clips are on it; empty without lists.
        missing: dict from the name of an official list to the ids on it that no file belongs to.
    """

    layout: str
    root: str
    rows: Sequence[SourceRow]
    label_names: tuple[str, ...] | None = None
    ignored: Sequence[str] = ()
    problems: Sequence[SourceError] = ()
    official: Mapping[str, int] = field(default_factory=dict)
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def find_list(root: str, name: str) -> str | None:
    """The path of a list of a data set, where there is such a file."""
    paths = (os.path.join(root, folder, name) for folder in LIST_FOLDERS)
    return next(filter(os.path.isfile, paths), None)


def list_folders(root: str) -> Iterator[list[str]]:
    """The paths of the files in each folder that may hold lists, sorted."""
    for folder in filter(os.path.isdir, (os.path.join(root, name) for name in LIST_FOLDERS)):
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file())  # a pipe would never end
        yield [os.path.join(folder, name) for name in names]


def walk_files(root: str) -> Iterator[tuple[str, list[str]]]:
    """Each folder below a root, as a path relative to it (`"."` for itself), and its files, sorted.

    Hidden folders are left out; links are followed, but for those to a folder that they lie in.

    Raises:
        SourceError: if a link leads to a folder outside of the root, or links lead to one too often.
    """
    line_of = {root: {_identity(root)}}  # of each folder to come: itself, and all that it lies in
    num_paths: Counter[tuple[int, int] | str] = Counter()
    for directory, folders, names in os.walk(root, followlinks=True):
        line = line_of.pop(directory)
        inside = {name: _identity(os.path.join(directory, name)) for name in folders if name[0] != "."}
        folders[:] = sorted(name for name, identity in inside.items() if identity not in line)
        for name in folders:
            path = os.path.join(directory, name)
            num_paths[inside[name]] += 1
            _check_link(root, path, num_paths[inside[name]])
            line_of[path] = line | {inside[name]}
        yield os.path.relpath(directory, root), sorted(names)


def _check_link(root: str, folder: str, num_paths: int) -> None:
    """Refuses a link that leaves the root, and a folder that is met again and again: where folders link to
    each other, they have as many paths as there are orders of them.
    """
    if os.path.islink(folder) and not lies_within(os.path.realpath(folder), root):
        raise SourceError(
            f"{os.path.relpath(folder, root)!r} is a link to {os.path.realpath(folder)!r}, which is outside.",
            path=root, stage="read_source", reason="outside_root",
            advice="Put the files in its place, give the folder that holds both, or take the link away.",
        )  # fmt: skip
    if num_paths > _MAX_PATHS:
        raise SourceError(
            f"More than {_MAX_PATHS} paths lead to the folder {os.path.realpath(folder)!r}, one of them "
            f"{os.path.relpath(folder, root)!r}.",
            path=root, stage="read_source", reason="too_large",
            advice="Folders link to each other: take such links away.",
        )  # fmt: skip


def _identity(folder: str) -> tuple[int, int] | str:
    """What is the same for a folder and every link to it."""
    try:
        found = os.stat(folder)
    except OSError:
        return folder  # the walk passes over what cannot be opened
    return found.st_dev, found.st_ino


def text_lines(path: str) -> Iterator[tuple[int, str]]:
    """The lines of a text, stripped, with their numbers; without those that are blank or begin with `#`."""
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        yield from _shown_lines(file)


def first_line(path: str) -> str:
    """The first of the lines of a text, by which a layout is told; `""` where 64 KiB have none."""
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        beginning = file.read(_MAX_BEGINNING)
    return next((line for _, line in _shown_lines(beginning.split("\n"))), "")


def _shown_lines(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(map(str.strip, lines), start=1):
        if line and not line.startswith("#"):
            yield number, line
