"""Lists of ids without labels over a folder of media, as YouTube-8M's videos are listed: for pre-training."""

from __future__ import annotations

import os
import re

from zorro_keras.applications.pipelines.clip_ids import OfficialClip, find_clips
from zorro_keras.applications.pipelines.clip_listing import ClipListing, first_line, list_folders, text_lines

_FILE = re.compile(r"((?P<split>train|val|validate|test)_)?ids\.txt")
_ID = re.compile(r"[\w-]+", re.ASCII)


def id_lists(root: str, suffixes: tuple[str, ...]) -> ClipListing | None:
    """`ids.txt`, or `train_ids.txt`, `val_ids.txt` and `test_ids.txt`, above the clips."""
    for paths in list_folders(root):
        lists = [path for path in paths if _FILE.fullmatch(os.path.basename(path))]
        if lists:
            return _listing(root, lists, suffixes)
    return None


def id_list(path: str, suffixes: tuple[str, ...]) -> ClipListing | None:
    """One text of an id a line, above the clips; None where its first line is more than an id."""
    if not path.lower().endswith(".txt") or not _ID.fullmatch(first_line(path)):
        return None
    return _listing(os.path.dirname(path) or ".", [path], suffixes)


def _listing(root: str, paths: list[str], suffixes: tuple[str, ...]) -> ClipListing:
    clips = []
    for path in paths:
        name = os.path.basename(path)
        named = _FILE.fullmatch(name)
        split = named["split"] and named["split"].replace("validate", "val") if named else None
        for number, line in text_lines(path):
            clips.append(OfficialClip(f"{name} line {number}", line, None, split, split or "all"))
    return find_clips("list of ids", root, clips, suffixes)
