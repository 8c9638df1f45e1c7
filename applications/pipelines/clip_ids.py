"""Finds the files of clips that an official list names by id, however the downloads were named."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from zorro_keras.applications.pipelines.clip_listing import ClipListing, walk_files
from zorro_keras.applications.pipelines.clip_pairs import sounds_of
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.source_rows import SourceRow

_NUMBER = re.compile(r"\d+(\.\d+)?", re.ASCII)
_WITH_PICTURES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm")
_THE_PART, _NO_PART, _ANOTHER_PART = range(3)  # what the numbers in a file's name say, the best first


@dataclass(frozen=True, slots=True)
class OfficialClip:
    """A clip on an official list.

    Attributes:
        place: str. Where a person finds it: the list and the line.
        id: str. Mostly YouTube's, of 11 characters.
        labels: tuple of str, or None where the list has no labels.
        split: optional str.
        part: str. The name of the list, by which the clips found are counted.
        start_seconds, end_seconds: optional floats. The part of the video that the clip is.
    """

    place: str
    id: str
    labels: tuple[str, ...] | None
    split: str | None
    part: str
    start_seconds: float | None = None
    end_seconds: float | None = None


def find_clips(
    layout: str,
    root: str,
    clips: Sequence[OfficialClip],
    suffixes: tuple[str, ...],
    *,
    label_names: tuple[str, ...] | None = None,
    problems: Sequence[SourceError] = (),
    any_part: bool = False,
    pictures: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> ClipListing:
    """Finds the file of each clip, anywhere below a folder.

    Names may be ID, ID_START or ID_START_END, with Y before them, zeros before numbers, and numbers that
    are seconds or milliseconds. A file holds the clip itself, not the whole video. Of several, one
    below a folder `replacement...` comes first, then one with pictures. A sound of the same name in a folder
    `audio`, beside a folder `video`, belongs to it.

    Args:
        layout: str. The name of the data set.
        root: str. Folder of all files.
        clips: sequence of `OfficialClip`.
        suffixes: tuple of str. The files that count.
        label_names, problems: as for `ClipListing`.
        any_part: bool. Whether a file with other times than the list's will do where there is no better.
        pictures: dict of id to paths. Single pictures of clips, for those without a film.

    Raises:
        SourceError: if not one of the clips is there.
    """
    files, ignored = _files_by_id(root, {clip.id for clip in clips}, suffixes)
    sounds = sounds_of(path for found in files.values() for _, path in found)
    rows, official, missing = [], Counter(), defaultdict(list)
    for clip in clips:
        official[clip.part] += 1
        best = _best_of(clip, files.get(clip.id, ()), any_part)
        parts = _parts_of(best, sounds, pictures.get(clip.id, ()))
        if parts is None:
            missing[clip.part].append(clip.id)
        else:
            rows.append(SourceRow(clip.place, labels=clip.labels, split=clip.split, **parts))
    if clips and not rows:
        raise SourceError(
            f"None of the {len(clips)} clips on the lists of {layout} is there. The first: {clips[0].id!r}",
            path=root, stage="read_source", reason="empty_source",
            advice="Put the files below this folder, named ID.mp4, ID_START.mp4 or ID_START_END.mp4.",
        )  # fmt: skip
    used = {path for row in rows for path in (row.path, row.sound, *row.pictures)}
    ignored += [path for found in files.values() for _, path in found]
    ignored = [path for path in ignored if path not in used]
    return ClipListing(
        layout, root, rows, label_names, sorted(ignored), problems, dict(official),
        {part: tuple(ids) for part, ids in missing.items()},
    )  # fmt: skip


def _best_of(
    clip: OfficialClip, files: Sequence[tuple[tuple[float, ...], str]], any_part: bool
) -> str | None:
    """The path of the file that is best for a clip; None where none will do."""
    ranked = sorted((_rank(clip, numbers, path), path) for numbers, path in files)
    return ranked[0][1] if ranked and (any_part or ranked[0][0][0] != _ANOTHER_PART) else None


def _parts_of(
    best: str | None, sounds: Mapping[str, str], pictures: tuple[str, ...]
) -> dict[str, Any] | None:
    """What a row tells of the files of a clip; None where there are none."""
    if best is not None and (not pictures or best.lower().endswith(_WITH_PICTURES)):
        return {"path": best, "sound": sounds.get(best, "")}
    return {"path": best or pictures[0], "sound": best or "", "pictures": pictures} if pictures else None


def _files_by_id(
    root: str, ids: set[str], suffixes: tuple[str, ...]
) -> tuple[dict[str, list[tuple[tuple[float, ...], str]]], list[str]]:
    """The numbers and the path of each file that belongs to an id, by id, and all other files."""
    files, ignored = defaultdict(list), []
    for where, names in walk_files(root):
        for name in names:
            path = os.path.normpath(os.path.join(where, name))
            stem, suffix = os.path.splitext(name)
            readings = readings_of(stem) if suffix.lower() in suffixes else ()
            clip_id, numbers = next((found for found in readings if found[0] in ids), (None, ()))
            if clip_id is None:
                ignored.append(path)
            else:
                files[clip_id].append((numbers, path))
    return files, ignored


def readings_of(stem: str) -> Iterator[tuple[str, tuple[float, ...]]]:
    """What a name may mean, as an id and up to two numbers; the longest id first, as ids hold `_`, too."""
    numbers: tuple[float, ...] = ()
    while True:
        yield stem, numbers
        if stem.startswith("Y"):
            yield stem[1:], numbers
        stem, _, last = stem.rpartition("_")
        if not stem or len(numbers) == 2 or not _NUMBER.fullmatch(last):
            return
        numbers = (float(last), *numbers)


def may_be_of(clip: OfficialClip, numbers: tuple[float, ...]) -> bool:
    """Whether the numbers in a file's name, out of `readings_of`, say nothing against a clip."""
    return _fit(clip, numbers)[0] != _ANOTHER_PART


def _rank(clip: OfficialClip, numbers: tuple[float, ...], path: str) -> tuple[int, float, bool, bool]:
    """The smaller, the better the file is for the clip."""
    folders = path.split(os.sep)[:-1]
    is_replacement = any(folder.startswith("replacement") for folder in folders)
    return *_fit(clip, numbers), not is_replacement, not path.lower().endswith(_WITH_PICTURES)


def _fit(clip: OfficialClip, numbers: tuple[float, ...]) -> tuple[int, float]:
    """What the numbers say, and how many seconds they are away from the clip's times."""
    times = (clip.start_seconds, clip.end_seconds)
    given = [(number, time) for number, time in zip(numbers, times, strict=False) if time is not None]
    if not given:
        return _NO_PART, 0.0
    fits = []
    for per_second in (1, 1000):
        distance = max(abs(number / per_second - time) for number, time in given)
        # Names round to whole seconds, up or down; what is finer is exact.
        is_rounded = per_second == 1 and all(number.is_integer() for number, _ in given)
        fits.append((_THE_PART if distance < (1.0 if is_rounded else 0.001) else _ANOTHER_PART, distance))
    return min(fits)
