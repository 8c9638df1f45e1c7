"""AudioSet in shards of other libraries: the order of its classes, and its lists for tars without labels."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from zorro_keras.applications.pipelines.clip_audioset import (
    CLASSES,
    names_of,
    read_classes,
    read_parents,
    read_segments,
    segment_lists,
)
from zorro_keras.applications.pipelines.clip_ids import OfficialClip, may_be_of, readings_of
from zorro_keras.applications.pipelines.clip_listing import find_list
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.foreign_entry import ForeignEntry, FoundClip
from zorro_keras.applications.pipelines.source_rows import raise_problems


@dataclass(frozen=True)
class AudioSetClasses:
    """The classes of AudioSet.

    Attributes:
        folder: str. Where their file lies.
        names: dict from MID to name, in the official order.
        parents: dict from MID to the MIDs right above it.
    """

    folder: str
    names: Mapping[str, str]
    parents: Mapping[str, Sequence[str]]

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names, in the official order."""
        return tuple(self.names.values())

    def indices_of(self, found: Sequence[FoundClip]) -> list[set[int]]:
        """The classes of each clip, whose labels are MIDs, names or official numbers.

        Raises:
            SourceError: for a label that is none.
        """
        index = {name: number for number, name in enumerate(self.label_names)}
        known = {**self.names, **{name: name for name in index}}
        index |= {number: number for number in range(len(self.label_names))}
        labels = [names_of(clip.label_names, known, self.parents) or clip.label_numbers for clip in found]
        unknown = sorted({str(label) for group in labels for label in group if label not in index})
        if unknown:
            raise SourceError(
                f"The labels must be names, MIDs or numbers of {CLASSES}. Received: {unknown[:5]}",
                path=self.folder, stage="read_source", reason="bad_label",
                advice="If these are not clips of AudioSet, keep that file elsewhere.",
            )  # fmt: skip
        return [{index[label] for label in group} for group in labels]


def find_classes(root: str) -> AudioSetClasses | None:
    """The classes whose file lies in a folder, or in the one above; None where it does not.

    Raises:
        SourceError: if the file is no good.
    """
    for folder in (root, os.path.dirname(root)):
        if find_list(folder, CLASSES) is not None:
            return AudioSetClasses(folder, read_classes(folder), read_parents(folder))
    return None


@dataclass(frozen=True)
class JoinedClips:
    """Clips that have got their labels and splits from AudioSet's lists.

    Attributes:
        entries: list of `ForeignEntry`.
        ignored: list of str. The ids of clips on no list.
        official, missing: as for `Source`.
    """

    entries: list[ForeignEntry]
    ignored: list[str]
    official: Mapping[str, int]
    missing: Mapping[str, tuple[str, ...]]


def join_lists(found: Sequence[FoundClip], classes: AudioSetClasses) -> JoinedClips | None:
    """Gives clips the labels that AudioSet's lists beside the classes have for their ids.

    Args:
        found: sequence of `FoundClip`, whose `media_name` is the id, perhaps with times, as for `find_clips`.
        classes: `AudioSetClasses`.

    Returns:
        `JoinedClips`; None where there are no lists, or they know none of the clips.

    Raises:
        SourceError: if rows of the lists are no good.
    """
    clips, problems = read_segments(segment_lists(classes.folder), classes.names, classes.parents)
    by_id = {clip.id: clip for clip in reversed(clips)}
    matches = [_match(clip.media_name, by_id) for clip in found]
    if not any(matches):
        return None
    raise_problems(classes.folder, problems)
    labelled = [
        replace(clip, label_names=match.labels if match else ())
        for clip, match in zip(found, matches, strict=True)
    ]
    entries, ignored, split = [], [], "train"
    for clip, match, labels in zip(found, matches, classes.indices_of(labelled), strict=True):
        if match is None and clip.media_name:
            ignored.append(clip.entry.id)
            continue
        split = match.split if match else split  # what was lost where a tar was cut, has none of its own
        entries.append(replace(clip.entry, label_indices=tuple(sorted(labels)), split=split))
    missing = defaultdict(list)
    for clip_id in sorted({*by_id} - {match.id for match in matches if match}):
        missing[by_id[clip_id].part].append(clip_id)
    parts = {part: tuple(ids) for part, ids in missing.items()}
    return JoinedClips(entries, ignored, Counter(clip.part for clip in by_id.values()), parts)


def _match(name: str, clips: Mapping[str, OfficialClip]) -> OfficialClip | None:
    for clip_id, numbers in readings_of(os.path.basename(name)):
        if clip_id in clips and may_be_of(clips[clip_id], numbers):
            return clips[clip_id]
    return None
