"""AudioSet, as its page gives it: lists of segments, the classes in their order, the ontology."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence

from zorro_keras.applications.pipelines.clip_ids import OfficialClip, find_clips
from zorro_keras.applications.pipelines.clip_listing import ClipListing, find_list
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.source_csv import bad_row, csv_records, names_columns, number

CLASSES, ONTOLOGY = "class_labels_indices.csv", "ontology.json"
LISTS = {"balanced_train": "train", "unbalanced_train": "train", "eval": "test"}


def audioset(root: str, suffixes: tuple[str, ...]) -> ClipListing | None:
    """`{balanced_train,unbalanced_train,eval}_segments.csv` and `class_labels_indices.csv`, above the clips.

    Classes keep the order of their file. A label that is none of them counts as the nearest classes above it
    in `ontology.json`, where that is there.

    Returns:
        `ClipListing`; None where none of the three lists is there.

    Raises:
        SourceError: if the file of the classes is missing or no good, or no clip is there.
    """
    lists = segment_lists(root)
    if not lists:
        return None
    names = read_classes(root)
    clips, problems = read_segments(lists, names, read_parents(root))
    return find_clips("AudioSet", root, clips, suffixes, label_names=tuple(names.values()), problems=problems)


def segment_lists(root: str) -> dict[str, str]:
    """The paths of those of the three lists that are there, by their names."""
    return {part: path for part in LISTS if (path := find_list(root, f"{part}_segments.csv"))}


def read_segments(
    lists: Mapping[str, str], names: Mapping[str, str], parents: Mapping[str, Sequence[str]]
) -> tuple[list[OfficialClip], list[SourceError]]:
    """The clips on the lists of `segment_lists`, and what is wrong with their other rows.

    Args:
        lists: as from `segment_lists`.
        names: as from `read_classes`.
        parents: as from `read_parents`.
    """
    clips, problems = [], []
    for part, path in lists.items():
        for line, cells in csv_records(path, skipinitialspace=True):
            place = f"{os.path.basename(path)} line {line}"
            if isinstance(cells, list) and (cells[0].startswith("#") or names_columns(cells)):
                continue
            is_whole = isinstance(cells, list) and len(cells) == 4 and all(map(str.strip, cells))
            times = [number(cell) for cell in cells[1:3]] if is_whole else [None]
            if None in times:
                problems.append(bad_row(path, place, "id, start, end and labels", cells))
                continue
            labels = names_of(cells[3].split(","), names, parents)
            clips.append(OfficialClip(place, cells[0], labels, LISTS[part], part, *times))
    return clips, problems


def read_classes(root: str) -> dict[str, str]:
    """The name of each class of AudioSet by its MID, in the order of their indices.

    Raises:
        SourceError: if the file of the classes is missing or no good.
    """
    path = find_list(root, CLASSES)
    if path is None:
        raise SourceError(
            f"AudioSet needs {CLASSES} beside the lists of its segments: it gives the classes their order.",
            path=root, stage="read_source", reason="missing_file",
        )  # fmt: skip
    rows = [cells for _, cells in csv_records(path, skipinitialspace=True)][1:]
    whole = [cells for cells in rows if isinstance(cells, list) and len(cells) == 3 and cells[0].isdecimal()]
    ordered = sorted(whole, key=lambda cells: int(cells[0]))
    names = {mid.strip(): name.strip() for _, mid, name in ordered}
    counted = [int(index) for index, _, _ in ordered] == list(range(len(rows)))
    if not rows or not counted or len(set(names.values())) < len(rows):
        raise SourceError(
            f"{CLASSES} must hold an index from 0 on, a MID and a name of its own for each class. "
            f"Received: {len(rows)} rows, {len(whole)} with an index, {len(set(names.values()))} names",
            path=path, stage="read_source", reason="bad_label",
        )  # fmt: skip
    return names


def read_parents(root: str) -> dict[str, list[str]]:
    """The MIDs right above each MID; empty without an ontology."""
    path = find_list(root, ONTOLOGY)
    if path is None:
        return {}
    parents: dict[str, list[str]] = {}
    try:
        with open(path, encoding="utf-8-sig") as file:
            for node in json.load(file):
                for child in node["child_ids"]:
                    parents.setdefault(child, []).append(node["id"])
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{ONTOLOGY} must be AudioSet's list of `id` and `child_ids`. Received: {error!r}",
            path=path, stage="read_source", reason="corrupt",
        ) from error  # fmt: skip
    return parents


def names_of(
    mids: Sequence[str], names: Mapping[str, str], parents: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """The names of labels, each once. One that no class stands for stays as it is, to be refused by name."""
    found = []
    for mid in map(str.strip, mids):
        level, seen = [mid], set()
        while level and not any(each in names for each in level):
            seen.update(level)
            level = [parent for each in level for parent in parents.get(each, ()) if parent not in seen]
        found += [names[each] for each in level if each in names] or [mid]
    return tuple(dict.fromkeys(found))
