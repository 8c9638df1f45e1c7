"""Shards of other libraries as a source: found by their names, told apart by their content."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from zorro_keras.applications.pipelines.clip_layouts import find_named_list, find_official_list
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.foreign_audioset import AudioSetClasses, find_classes, join_lists
from zorro_keras.applications.pipelines.foreign_entry import ForeignEntry, FoundClip
from zorro_keras.applications.pipelines.foreign_sequence_examples import find_records
from zorro_keras.applications.pipelines.foreign_tars import find_samples
from zorro_keras.applications.pipelines.held_out import held_out
from zorro_keras.applications.pipelines.media_files import lies_within
from zorro_keras.applications.pipelines.shards import is_shards
from zorro_keras.applications.pipelines.source_rows import MAX_INDEX
from zorro_keras.applications.pipelines.sources import MEDIA_SUFFIXES, Source
from zorro_keras.applications.pipelines.split_words import SPLIT_OF_WORD

_TAR = re.compile(r"\.(tar|tgz|tar\.gz)$", re.IGNORECASE)
_RECORDS = re.compile(r"(\.tfrec(ord)?s?|-\d+-of-\d+)(\.gz)?$", re.IGNORECASE)


@dataclass(frozen=True)
class ForeignSource(Source):
    """A source whose entries are `ForeignEntry`."""


def find_foreign_shards(path: str | os.PathLike) -> list[str]:
    """The shards at a path, sorted; none if it is something else.

    Args:
        path: str or path. One shard, or a folder that holds shards and no media files, at any depth.
    """
    path = os.fspath(path)
    if not os.path.isdir(path):
        return [path] if os.path.isfile(path) and _is_shard(path) else []
    shards = []
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        shown = [name for name in names if not name.startswith(".")]
        if any(name.lower().endswith(MEDIA_SUFFIXES) for name in shown):
            return []
        shards.extend(os.path.join(folder, name) for name in shown if _is_shard(name))
    return sorted(shards)


def read_foreign_source(
    path: str | os.PathLike, *, test_fraction: float = 0.1, seed: int = 0
) -> ForeignSource | None:
    """Reads and checks shards of another library.

    Every record is read once: labels come from records whose checksums are right, and from no others.

    Args:
        path: str or path. As for `find_foreign_shards`. A shard whose name, or the name of a folder above
            it, has the word train, val, test or eval belongs to that split.
        test_fraction: float in [0, 1). Share of the clips put into the split `test` where no name says so.
        seed: int. Chooses that share.

    Returns:
        `ForeignSource`, or None if there are no such shards.

    Raises:
        SourceError: if nobody is known to write such shards, or they cannot be read; or where tars without
            labels lie beside a list of a public data set.
    """
    shards = find_foreign_shards(path)
    if not shards:
        return None
    path = os.fspath(path)
    if is_shards(path):
        raise _refusal(path, "These are shards of this library already: train on them.")
    folder = path if os.path.isdir(path) else os.path.dirname(path) or "."
    root = os.path.realpath(folder)
    shards = [os.path.join(root, os.path.relpath(shard, folder)) for shard in shards]
    are_tars = {bool(_TAR.search(shard)) for shard in shards}
    if len(are_tars) > 1:
        raise _refusal(root, f"A source holds tars or TFRecords. Received: both, such as {shards[:2]}")
    for shard in shards:
        _check_name(root, shard)
    layout, found = (find_samples if are_tars == {True} else find_records)(shards, root)
    classes = find_classes(root)
    if are_tars == {True} and not any(clip.label_names or clip.label_numbers for clip in found):
        joined = None if classes is None else join_lists(found, classes)
        if joined is not None:
            return _source(root, f"AudioSet in {layout}", classes.label_names, **vars(joined))
        _check_no_list_has_the_labels(root)
    label_names, entries = _with_labels(found, classes)
    splits = _splits_of(root, found) or _dealt_splits(found, test_fraction, seed)
    entries = [replace(entry, split=split) for entry, split in zip(entries, splits, strict=True)]
    return _source(root, layout, label_names, entries)


def _source(
    root: str,
    layout: str,
    label_names: tuple[str, ...],
    entries: Sequence[ForeignEntry],
    **official: Any,
) -> ForeignSource:
    return ForeignSource(
        entries=tuple(sorted(entries, key=lambda entry: entry.id)),
        label_names=label_names,
        multi_label=any(len(entry.label_indices) > 1 for entry in entries),
        root=root,
        layout=layout,
        **official,
    )


def _check_name(root: str, shard: str) -> None:
    if not lies_within(os.path.realpath(shard), root):
        raise _refusal(shard, f"The shard is a link that leaves {root!r}.", "outside_root")
    if not os.path.isfile(shard):  # a pipe would never end
        raise _refusal(shard, "The shard is not a regular file.", "not_a_file")
    if shard != shard.encode("utf-8", "ignore").decode():
        raise _refusal(shard, "The name of the shard holds bytes that are not UTF-8.", "bad_encoding")


def _check_no_list_has_the_labels(root: str) -> None:
    """Refuses a public data set as it was downloaded: packed like this it would lose its labels unnoticed."""
    path = find_official_list(root) or find_named_list(os.path.dirname(root))
    if path is not None:
        name = os.path.basename(path)
        raise _refusal(
            path,
            f"Tars without labels must not lie beside or below a list that has them. Received: {name}",
            advice="Unpack the tars below its folder, so that the list says what each file is. To pack them "
            "without labels, put them into a folder of their own.",
        )


def _is_shard(name: str) -> bool:
    return bool(_TAR.search(name) or _RECORDS.search(name))


def _with_labels(
    found: Sequence[FoundClip], classes: AudioSetClasses | None
) -> tuple[tuple[str, ...], list[ForeignEntry]]:
    """The classes, and the entries with theirs.

    Names count before numbers: the script of DMVR numbers its labels anew each time it runs, so that training
    and test shards differ in them.
    """
    if classes is not None and any(clip.label_names or clip.label_numbers for clip in found):
        return classes.label_names, _labelled(found, classes.indices_of(found))
    names = tuple(sorted({name for clip in found for name in clip.label_names}))
    if names:
        index = {name: number for number, name in enumerate(names)}
        labels = [{index[name] for name in clip.label_names} for clip in found]
    else:
        labels = [{number for number in clip.label_numbers if 0 <= number <= MAX_INDEX} for clip in found]
        names = tuple(str(number) for number in range(max(set().union(*labels), default=-1) + 1))
    return names, _labelled(found, labels)


def _labelled(found: Sequence[FoundClip], labels: Sequence[set[int]]) -> list[ForeignEntry]:
    return [
        replace(clip.entry, label_indices=tuple(sorted(group)))
        for clip, group in zip(found, labels, strict=True)
    ]


def _splits_of(root: str, found: Sequence[FoundClip]) -> list[str] | None:
    """The split of each clip by the name of its shard; None if no shard names one."""
    shards = {clip.entry.shard_path for clip in found}
    split_of = {shard: _named_split(os.path.relpath(shard, root)) for shard in shards}
    silent = sorted(shard for shard, split in split_of.items() if split is None)
    if len(silent) == len(shards):
        return None
    if silent:
        raise _refusal(
            silent[0], f"Either all shards name their split or none. Received: {len(silent)} that do not",
            "bad_split",
        )  # fmt: skip
    return [split_of[clip.entry.shard_path] for clip in found]


def _named_split(name: str) -> str | None:
    """The split whose word stands in the name of a shard, or else of the nearest folder above it."""
    for part in reversed(name.lower().split(os.sep)):
        found = {SPLIT_OF_WORD[word] for word in re.split(r"[^a-z]+", part) if word in SPLIT_OF_WORD}
        if len(found) == 1:
            return found.pop()
    return None


def _dealt_splits(found: Sequence[FoundClip], test_fraction: float, seed: int) -> list[str]:
    """Puts a share of the files that the clips were cut from into `test`."""
    names = [clip.media_name or clip.entry.id for clip in found]
    digests = {name: hashlib.sha256(f"{seed}:{name}".encode()).digest() for name in names}
    tested = held_out(digests, test_fraction)
    return ["test" if name in tested else "train" for name in names]


def _refusal(path: str, message: str, reason: str = "bad_schema", advice: str = "") -> SourceError:
    return SourceError(message, path=path, stage="read_source", reason=reason, advice=advice)
