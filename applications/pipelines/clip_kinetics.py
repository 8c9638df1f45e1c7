"""Kinetics with its annotations, as the CVDF hosts it, with the files that replace broken ones."""

from __future__ import annotations

import os
from collections.abc import Iterator

from zorro_keras.applications.pipelines.clip_ids import OfficialClip, find_clips
from zorro_keras.applications.pipelines.clip_listing import ClipListing, first_line, list_folders
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.source_csv import bad_row, csv_records, number
from zorro_keras.applications.pipelines.split_words import SPLIT_OF_WORD

COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")


def kinetics(root: str, suffixes: tuple[str, ...]) -> ClipListing | None:
    """`annotations/{train,val,test}.csv` over `train/ID_START_END.mp4`, `replacement/.../ID_START_END.mp4`.

    The lists may also lie beside the clips, and the clips in folders of their classes. An id has one clip,
    so that a file with other times than the list's will do. Lists without labels, as the test's once
    was, are left out. The classes are sorted.

    Returns:
        `ClipListing`; None where no file has the header of the annotations.

    Raises:
        SourceError: if no clip is there.
    """
    folders = (list(filter(is_annotation, paths)) for paths in list_folders(root))
    lists = next(filter(None, folders), None)
    if lists is None:
        return None
    clips, problems = [], []
    for path in lists:
        for clip in _clips(path):
            (clips if isinstance(clip, OfficialClip) else problems).append(clip)
    classes = tuple(sorted({label for clip in clips for label in clip.labels}))
    return find_clips(
        "Kinetics", root, clips, suffixes, label_names=classes, problems=problems, any_part=True
    )


def is_annotation(path: str) -> bool:
    """Whether a file has the header of annotations with labels."""
    return path.lower().endswith(".csv") and set(COLUMNS) <= set(_columns(path))


def _columns(path: str) -> list[str]:
    return [name.strip().strip('"').lower() for name in first_line(path).split(",")]


def _clips(path: str) -> Iterator[OfficialClip | SourceError]:
    header = _columns(path)
    places = [header.index(name) for name in COLUMNS]
    records = csv_records(path, skipinitialspace=True)
    next(records)
    for line, cells in records:
        place = f"{os.path.basename(path)} line {line}"
        if not isinstance(cells, list) or len(cells) != len(header):
            yield bad_row(path, place, f"{len(header)} cells like the header", cells)
            continue
        clip = _clip(place, [cells[index].strip() for index in places])
        yield clip or bad_row(path, place, "a label, an id, times in seconds and a split", cells)


def _clip(place: str, cells: list[str]) -> OfficialClip | None:
    label, clip_id, start, end, split = cells
    split, start_seconds, end_seconds = SPLIT_OF_WORD.get(split.lower()), number(start), number(end)
    if not (label and clip_id and split) or start_seconds is None or (end and end_seconds is None):
        return None
    return OfficialClip(place, clip_id, (label,), split, split, start_seconds, end_seconds)
