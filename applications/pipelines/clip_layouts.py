"""Which of the known layouts a source has. Each reader gives `None` for what is not its own."""

from __future__ import annotations

import os

from zorro_keras.applications.pipelines.clip_audioset import LISTS as AUDIOSET_LISTS
from zorro_keras.applications.pipelines.clip_audioset import audioset
from zorro_keras.applications.pipelines.clip_class_folders import IsClip, class_folders
from zorro_keras.applications.pipelines.clip_esc50 import LAYOUT as ESC50
from zorro_keras.applications.pipelines.clip_esc50 import esc50
from zorro_keras.applications.pipelines.clip_id_lists import id_list, id_lists
from zorro_keras.applications.pipelines.clip_json_lists import is_json_list, json_lists
from zorro_keras.applications.pipelines.clip_kinetics import is_annotation, kinetics
from zorro_keras.applications.pipelines.clip_listing import ClipListing, find_list, list_folders
from zorro_keras.applications.pipelines.clip_path_lists import is_path_list, path_list, path_lists
from zorro_keras.applications.pipelines.clip_vggsound import is_vggsound_list, vggsound
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.source_csv import read_csv_rows


def read_listing(
    path: str,
    suffixes: tuple[str, ...],
    test_fold: int | None = None,
    is_clip: IsClip | None = None,
) -> ClipListing:
    """Lists the clips of a folder or of a file, whose layout is recognised by what is in it.

    Args:
        path: str. The folder or file.
        suffixes: tuple of str, lower case. Files that count where they are found and not named.
        test_fold: optional int. For a layout with folds, that which becomes the split "test".
        is_clip: as for `class_folders`.

    Raises:
        SourceError: if the path or what is there cannot be read, or a fold is asked of a layout without any.
    """
    if os.path.isdir(path):
        listing = _of_folder(path, suffixes, test_fold, is_clip)
    elif os.path.isfile(path):
        listing = _of_file(path, suffixes)
    else:
        raise SourceError(
            "The source must be a folder or a CSV file, or a list of paths or ids.",
            path=path, stage="read_source", reason="missing_file",
        )  # fmt: skip
    if test_fold is not None and listing.layout != ESC50:
        raise SourceError(
            f"`test_fold` must be None: only {ESC50} comes in folds. Received: test_fold={test_fold}",
            path=path, stage="read_source", reason="bad_split",
        )  # fmt: skip
    return listing


def find_official_list(root: str) -> str | None:
    """The first list of a public data set of clips with labels in a folder; None where there is none."""
    unnamed = (
        path
        for paths in list_folders(root)
        for path in paths
        if is_json_list(path) or is_annotation(path) or is_vggsound_list(path) or is_path_list(path)
    )
    return find_named_list(root) or next(unnamed, None)


def find_named_list(root: str) -> str | None:
    """As `find_official_list`, of those that no other data set has: by the name of the file."""
    names = (*(f"{part}_segments.csv" for part in AUDIOSET_LISTS), "vggsound.csv", "esc50.csv")
    return next(filter(None, (find_list(root, name) for name in names)), None)


def _of_folder(
    path: str, suffixes: tuple[str, ...], test_fold: int | None, is_clip: IsClip | None
) -> ClipListing:
    # A plain folder is what is none of the others.
    return (
        audioset(path, suffixes)
        or vggsound(path, suffixes)
        or json_lists(path, suffixes)
        or kinetics(path, suffixes)
        or esc50(path, suffixes, test_fold)
        or path_lists(path)
        or id_lists(path, suffixes)
        or class_folders(path, suffixes, is_clip)
    )


def _of_file(path: str, suffixes: tuple[str, ...]) -> ClipListing:
    listing = path_list(path) or id_list(path, suffixes)
    if listing is None:
        rows, problems = read_csv_rows(path)
        listing = ClipListing("CSV", os.path.dirname(path) or ".", rows, problems=problems)
    return listing
