"""Clips in one folder for each class, which may stand under folders of splits."""

from __future__ import annotations

import os
from dataclasses import replace

from zorro_keras.applications.pipelines.clip_listing import ClipListing, walk_files
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.source_rows import SPLITS, SourceRow

# As people name them, and as MMAction2 does.
SPLIT_FOLDERS = {name: split for split in SPLITS for name in (split, f"videos_{split}")}


def class_folders(root: str, suffixes: tuple[str, ...]) -> ClipListing:
    """`dog/1.mp4`, `cat/2.wav`, or `train/dog/1.mp4`, `test/cat/2.wav`; any folder is one.

    Where not one file lies in a folder of a class, as in a plain folder of files, clips have no labels.

    Raises:
        SourceError: if folders of classes stand beside folders of splits.
    """
    folders, files = _children(root)
    if folders and set(folders) <= set(SPLIT_FOLDERS):
        levels = [(SPLIT_FOLDERS[name], name) for name in folders]
    elif "train" in folders and {"val", "test"} & set(folders):
        others = sorted(set(folders) - set(SPLITS))
        raise SourceError(
            f"A folder holds either split folders or class folders. Received: train beside {others[:5]}",
            path=root,
            stage="read_source",
            reason="bad_split",
        )
    else:
        levels = [(None, "")]
    rows, ignored = [], [] if levels[0][0] is None else files
    for split, level in levels:
        for where, names in walk_files(os.path.join(root, level)):
            labels = () if where == "." or os.sep in where else (where,)
            for name in names:
                place = os.path.normpath(os.path.join(level, where, name))
                if name.lower().endswith(suffixes) and not name.startswith("."):
                    rows.append(SourceRow(place, place, labels, split=split))
                else:
                    ignored.append(place)
    if not any(row.labels for row in rows):
        rows = [replace(row, labels=None) for row in rows]
        return ClipListing("a folder of files", root, rows, ignored=ignored)
    return ClipListing("class folders", root, rows, ignored=ignored)


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
