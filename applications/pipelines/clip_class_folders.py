"""Clips in one folder for each class, which may stand under folders of splits."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from zorro_keras.applications.pipelines.clip_listing import ClipListing, walk_files
from zorro_keras.applications.pipelines.clip_pairs import folders_of_kinds, sounds_of, without_kind
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.source_rows import SourceRow
from zorro_keras.applications.pipelines.split_words import SPLIT_OF_WORD

IsClip = Callable[[str], bool]


def class_folders(root: str, suffixes: tuple[str, ...], is_clip: IsClip | None = None) -> ClipListing:
    """`dog/1.mp4`, `cat/2.wav`, or `train/dog/1.mp4`, `Validation/cat/2.wav`; any folder is one.

    Folders `audio` and `video` beside each other, with the sound and the pictures of the same clips, are no
    classes: `video/dog/1.mp4` is of the class dog, and `audio/dog/1.wav` its sound.

    Where every file lies directly in the root, or in folders of splits, as in a plain folder of files, clips
    have no labels. Folders without clips count for nothing.

    Args:
        root: str. The folder.
        suffixes: tuple of str, lower case. Files that count.
        is_clip: optional function of a path. Whether a file of another suffix counts, too.

    Raises:
        SourceError: if folders of classes stand beside folders of splits.
    """
    paths, ignored = _files(root, suffixes, is_clip)
    sounds = sounds_of(paths)
    kinds, used = folders_of_kinds(sounds), set(sounds.values())
    files = [(_folders_of(without_kind(path, kinds)), path) for path in paths if path not in used]
    splits = _splits_of(root, {folders[0] for folders, _ in files if folders})
    if splits:
        ignored += [place for folders, place in files if not folders]
        files = [(folders, place) for folders, place in files if folders]
    rows, num_split_folders = [], 1 if splits else 0
    for folders, place in files:
        classes = folders[num_split_folders:]
        split = splits[folders[0]] if splits else None
        labels, sound = classes if len(classes) == 1 else (), sounds.get(place, "")
        rows.append(SourceRow(place, place, labels, split=split, sound=sound))
    if all(len(folders) == num_split_folders for folders, _ in files):
        rows = [replace(row, labels=None) for row in rows]
        return ClipListing("a folder of files", root, rows, ignored=ignored)
    return ClipListing("class folders", root, rows, ignored=ignored)


def _folders_of(path: str) -> tuple[str, ...]:
    return tuple(path.split(os.sep)[:-1])


def _files(root: str, suffixes: tuple[str, ...], is_clip: IsClip | None) -> tuple[list[str], list[str]]:
    """The paths of the clips, and those of all other files."""
    files, ignored = [], []
    for where, names in walk_files(root):
        for name in names:
            place = os.path.normpath(os.path.join(where, name))
            is_known = name.lower().endswith(suffixes)
            counts = is_known or (is_clip is not None and is_clip(os.path.join(root, place)))
            (files if counts and not name.startswith(".") else ignored).append(place)
    return files, ignored


def _splits_of(root: str, folders: set[str]) -> dict[str, str]:
    """The split of each folder right below the root; empty where they are no splits.

    Folders are named as people do, and as MMAction2 does: `videos_train`.
    """
    words = {folder: folder.lower().removeprefix("videos_") for folder in folders}
    splits = {folder: SPLIT_OF_WORD[word] for folder, word in words.items() if word in SPLIT_OF_WORD}
    others = sorted(folders - set(splits))
    if not others:
        return splits
    train = next((folder for folder, split in splits.items() if split == "train"), None)
    if train and len(set(splits.values())) > 1:
        raise SourceError(
            f"A folder holds either split folders or class folders. Received: {train} beside {others[:5]}",
            path=root, stage="read_source", reason="bad_split",
        )  # fmt: skip
    return {}
