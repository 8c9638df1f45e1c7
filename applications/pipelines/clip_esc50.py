"""ESC-50, whose clips come in five folds: one is tested, after training on the other four."""

from __future__ import annotations

import os

from zorro_keras.applications.pipelines.clip_ids import OfficialClip, find_clips
from zorro_keras.applications.pipelines.clip_listing import ClipListing, find_list
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.source_csv import bad_row, csv_records

LAYOUT = "ESC-50"
COLUMNS = ("filename", "fold", "target", "category")


def esc50(root: str, suffixes: tuple[str, ...], test_fold: int | None) -> ClipListing | None:
    """`meta/esc50.csv` over `audio/FOLD-CLIP-TAKE-TARGET.wav`.

    Args:
        root: str. The folder.
        suffixes: tuple of str. The files that count.
        test_fold: optional int. The fold that becomes the split "test"; the first by default.

    Returns:
        `ClipListing`, classes in the order of their targets; None where the list is not there.

    Raises:
        SourceError: if the list lacks a column, there is no such fold, or no clip is there.
    """
    path = find_list(root, "esc50.csv")
    if path is None:
        return None
    records = list(csv_records(path))
    header = records[0][1] if records else []
    if not isinstance(header, list) or not set(COLUMNS) <= set(header):
        raise SourceError(
            f"The list of ESC-50 must have the columns {', '.join(COLUMNS)}. Received: {header}",
            path=path, row="line 1", stage="read_source", reason="missing_column",
        )  # fmt: skip
    rows, problems = [], []
    for line, cells in records[1:]:
        place = f"{os.path.basename(path)} line {line}"
        cell = dict(zip(header, cells, strict=False)) if isinstance(cells, list) else {}
        if all(cell.get(name, "").isdecimal() for name in ("fold", "target")):
            rows.append((place, *(cell[name] for name in COLUMNS)))
        else:
            problems.append(bad_row(path, place, "a name, a fold, a target and a category", cells))
    folds = sorted({int(fold) for _, _, fold, _, _ in rows})
    test_fold = folds[0] if test_fold is None and folds else test_fold
    if rows and test_fold not in folds:
        raise SourceError(
            f"`test_fold` must be one of the folds, {folds}. Received: test_fold={test_fold}",
            path=path, stage="read_source", reason="bad_split",
        )  # fmt: skip
    clips = []
    for place, name, fold, _, category in rows:
        split = "test" if int(fold) == test_fold else "train"
        clips.append(OfficialClip(place, os.path.splitext(name)[0], (category,), split, f"fold {fold}"))
    classes = {int(target): category for _, _, _, target, category in rows}
    names = tuple(dict.fromkeys(classes[target] for target in sorted(classes)))
    return find_clips(LAYOUT, root, clips, suffixes, label_names=names, problems=problems)
