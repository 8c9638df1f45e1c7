"""VGGSound: its one list of ids, or the lists of file names in its repository."""

from __future__ import annotations

import os
import re

from zorro_keras.applications.pipelines.clip_ids import OfficialClip, find_clips
from zorro_keras.applications.pipelines.clip_listing import ClipListing, find_list, first_line
from zorro_keras.applications.pipelines.source_csv import bad_row, csv_records, names_columns, number
from zorro_keras.applications.pipelines.split_words import SPLIT_OF_WORD

_NAMED = re.compile(r"(?P<id>.{11})_(?P<start>\d{6})(\.\w+)?", re.ASCII)


def vggsound(root: str, suffixes: tuple[str, ...]) -> ClipListing | None:
    """`vggsound.csv` of id, start, label, split, or `train.csv` and `test.csv` of `ID_START.mp4`, label.

    None has a header, though copies may. The classes are sorted, as VGGSound's own code does.

    Returns:
        `ClipListing`; None where the lists are not there.

    Raises:
        SourceError: if no clip is there.
    """
    whole = find_list(root, "vggsound.csv")
    if whole is not None:
        lists, expected, num_cells = [(whole, "")], "id, start, label and split", 4
    else:
        found = [(find_list(root, f"{split}.csv"), split) for split in ("train", "test")]
        lists = [(path, split) for path, split in found if path and is_vggsound_list(path)]
        expected, num_cells = "a file name of id and start, and a label", 2
    if not lists:
        return None
    clips, problems = [], []
    for path, split in lists:
        for line, cells in csv_records(path, skipinitialspace=True):
            place = f"{os.path.basename(path)} line {line}"
            if isinstance(cells, list) and names_columns(cells):
                continue
            clip = _clip(place, cells, split) if isinstance(cells, list) and len(cells) == num_cells else None
            if clip is None:
                problems.append(bad_row(path, place, expected, cells))
            else:
                clips.append(clip)
    classes = tuple(sorted({label for clip in clips for label in clip.labels}))
    return find_clips("VGGSound", root, clips, suffixes, label_names=classes, problems=problems)


def is_vggsound_list(path: str) -> bool:
    """Whether a file is `train.csv` or `test.csv` of the repository."""
    is_named = os.path.basename(path) in ("train.csv", "test.csv")
    return is_named and bool(_NAMED.fullmatch(first_line(path).split(",")[0]))


def _clip(place: str, cells: list[str], split: str) -> OfficialClip | None:
    cells = [cell.strip() for cell in cells]
    if len(cells) == 4:
        clip_id, start, label, split = cells
    else:
        named = _NAMED.fullmatch(cells[0])
        if named is None:
            return None
        clip_id, start, label = named["id"], named["start"], cells[1]
    split, start_seconds = SPLIT_OF_WORD.get(split.lower()), number(start)
    if not (clip_id and label and split) or start_seconds is None:
        return None
    return OfficialClip(place, clip_id, (label,), split, split, start_seconds)
