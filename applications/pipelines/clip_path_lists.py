"""Lists of "path label" lines, as MMAction2, PyTorchVideo and SlowFast read Kinetics."""

from __future__ import annotations

import os
import re

from zorro_keras.applications.pipelines.clip_listing import ClipListing, first_line, list_folders, text_lines
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.source_csv import bad_row
from zorro_keras.applications.pipelines.source_rows import MAX_INDEX, SPLITS, SourceRow
from zorro_keras.applications.pipelines.split_words import SPLIT_OF_WORD

_LINE = re.compile(r"(?P<path>\S.*?)[ \t]+(?P<label>\d+)", re.ASCII)
_LABEL_MAP = re.compile(r".*(label_map|classnames|classes).*\.txt")


def path_lists(root: str) -> ClipListing | None:
    """`kinetics400_train_list_videos.txt` or `train.csv` and the like, above the clips.

    Which split a list is, its name says. Paths are relative to the folder, or to `SPLIT` or `videos_SPLIT`
    in it. `label_map*.txt` names the classes, one a line, where it is there.

    Returns:
        `ClipListing`; None where no list of a split is there.
    """
    for paths in list_folders(root):
        lists = {path: _split_of(path) for path in paths if is_path_list(path)}
        if lists:
            return _listing(root, lists)
    return None


def path_list(path: str) -> ClipListing | None:
    """One such list, whose clips have no split yet; None where its first line is no path and label."""
    return _listing(os.path.dirname(path) or ".", {path: None}) if _is_list(path) else None


def is_path_list(path: str) -> bool:
    """Whether a file is such a list, by its name and its first line."""
    return path.endswith((".txt", ".csv")) and _split_of(path) is not None and _is_list(path)


def _is_list(path: str) -> bool:
    return bool(_LINE.fullmatch(first_line(path)))


def _split_of(path: str) -> str | None:
    splits = {SPLIT_OF_WORD.get(word) for word in re.split(r"[^a-z]+", os.path.basename(path).lower())}
    return next((split for split in SPLITS if split in splits), None)


def _listing(root: str, lists: dict[str, str | None]) -> ClipListing:
    """What the lists hold, whose splits are given by path."""
    rows, problems, official, missing, labels = [], [], {}, {}, set()
    for path, split in lists.items():
        name, absent = os.path.basename(path), []
        lines = list(text_lines(path))
        for number, line in lines:
            found = _LINE.fullmatch(line)
            if found is None:
                problems.append(bad_row(path, f"{name} line {number}", "a path and a label", line))
                continue
            labels.add(int(found["label"]))
            if (file := _file_of(root, found["path"], split)) is None:
                absent.append(found["path"])
            else:
                rows.append(SourceRow(f"{name} line {number}", file, (found["label"],), split=split))
        part = split or "all"
        official[part] = official.get(part, 0) + len(lines)
        if absent:
            missing[part] = (*missing.get(part, ()), *absent)
    if missing and not rows:
        raise SourceError(
            f"None of the files on the list is there. The first: {next(iter(missing.values()))[0]!r}",
            path=root, stage="read_source", reason="missing_file",
        )  # fmt: skip
    label_names = _label_names(root) or _numbers(labels)
    return ClipListing("list of paths", root, rows, label_names, (), problems, official, missing)


def _file_of(root: str, path: str, split: str | None) -> str | None:
    """The path below the root, where there is such a file."""
    folders = ("", split, f"videos_{split}") if split else ("",)
    places = (os.path.join(folder, path) for folder in folders)
    return next((place for place in places if os.path.lexists(os.path.join(root, place))), None)


def _numbers(labels: set[int]) -> tuple[str, ...]:
    """Names of the classes of all lines, so that they are the same whichever files were found."""
    last = max((label for label in labels if label <= MAX_INDEX), default=-1)
    return tuple(str(label) for label in range(last + 1))


def _label_names(root: str) -> tuple[str, ...] | None:
    for paths in list_folders(root):
        for path in paths:
            if _LABEL_MAP.fullmatch(os.path.basename(path)):
                return tuple(line for _, line in text_lines(path))
    return None
