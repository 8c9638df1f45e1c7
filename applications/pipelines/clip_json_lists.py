"""AudioSet in the JSON lists of CAV-MAE and AST: the id of a video, its files, the MIDs of its labels."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator

from zorro_keras.applications.pipelines.clip_audioset import read_classes
from zorro_keras.applications.pipelines.clip_ids import OfficialClip, find_clips
from zorro_keras.applications.pipelines.clip_listing import ClipListing, list_folders
from zorro_keras.applications.pipelines.clip_pairs import pictures_of
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.split_words import SPLIT_OF_WORD

_BEGINNING = re.compile(r'\s*\{\s*"data"\s*:\s*\[')


def json_lists(root: str, suffixes: tuple[str, ...]) -> ClipListing | None:
    """`{"data": [{"video_id": ID, "wav": PATH, "labels": "/m/...,/m/..."}, ...]}` in a file for each split.

    A file is of the test or validation where its name has the word, and else of training. The paths are those
    of another machine, so that files are found by id, or without one by the name of the sound file. Pictures
    may lie one by one in folders `frame_0` and so on, as CAV-MAE has them, or in a folder for each clip.

    Returns:
        `ClipListing`; None where no such list is there.

    Raises:
        SourceError: if a list is damaged, the file of the classes is missing, or no clip is there.
    """
    folders = ([path for path in paths if is_json_list(path)] for paths in list_folders(root))
    lists = next(filter(None, folders), None)
    if lists is None:
        return None
    names = read_classes(root)
    clips = [
        OfficialClip(place, clip_id, tuple(names.get(mid, mid) for mid in mids), split, part)
        for path in lists
        for part, split in [_part_of(path)]
        for place, clip_id, mids in _read(path)
    ]
    pictures = pictures_of(root, {clip.id for clip in clips})
    label_names = tuple(names.values())
    return find_clips("AudioSet", root, clips, suffixes, label_names=label_names, pictures=pictures)


def is_json_list(path: str) -> bool:
    """Whether a file begins like such a list."""
    if not path.endswith(".json"):
        return False
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        return bool(_BEGINNING.match(file.read(100)))


def _part_of(path: str) -> tuple[str, str]:
    """The name of a list, and its split."""
    part = os.path.splitext(os.path.basename(path))[0]
    splits = {SPLIT_OF_WORD.get(word) for word in re.split(r"[^a-z]+", part.lower())}
    return part, next((split for split in ("test", "val") if split in splits), "train")


def _read(path: str) -> Iterator[tuple[str, str, list[str]]]:
    """The place, the id and the MIDs of each clip on a list."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            for number, item in enumerate(json.load(file)["data"], start=1):
                name = item.get("video_id") or os.path.splitext(os.path.basename(item["wav"]))[0]
                mids = [mid.strip() for mid in item["labels"].split(",")]
                yield f"{os.path.basename(path)} item {number}", name, mids
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(
            f"Each item of the list must have `video_id` or `wav`, and `labels`. Received: {error!r}",
            path=path, stage="read_source", reason="corrupt",
        ) from error  # fmt: skip
