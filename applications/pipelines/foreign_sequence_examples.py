"""The clips in TFRecord shards of DMVR, MediaSequence and Scenic MBT, told by the keys of their records."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from zorro_keras.applications.pipelines import foreign_keys as keys
from zorro_keras.applications.pipelines.faults import MediaError, SourceError
from zorro_keras.applications.pipelines.foreign_entry import FoundClip
from zorro_keras.applications.pipelines.foreign_rates import usual_rate
from zorro_keras.applications.pipelines.foreign_records import (
    RecordEntry,
    first_key,
    media_name_of,
    times_of,
    waveform_prefix,
)
from zorro_keras.applications.pipelines.parse_example import ParsedExample
from zorro_keras.applications.pipelines.tfrecord import record_places


def find_records(shards: Sequence[str], root: str) -> tuple[str, list[FoundClip]]:
    """Finds the clips of TFRecord shards: one for each record, also for those that are damaged.

    Args:
        shards: paths.
        root: str. Folder that holds them.

    Returns:
        (name of the program that wrote them, clips).

    Raises:
        SourceError: if no record can be read, or the first that can is by no program known.
    """
    writer, found, frame_rates, sample_rates = None, [], [], []
    for entry in _entries(shards, root):
        try:
            example = entry.parsed(root)
            clip, rates = _found(entry, example), _stored_per_second(example)
        except (MediaError, ValueError):  # a worker will say so, and the clip counts as skipped
            found.append(FoundClip(entry))
            continue
        writer = writer or _known_writer(entry, example)
        found.append(clip)
        frame_rates.append(rates[0])
        sample_rates.append(rates[1])
    if writer is None:
        raise _refusal(shards[0], "The shards hold not one record that can be read.", "empty_source")
    unsaid = {
        "frame_rate_hz": usual_rate(frame_rates) or writer.frame_rate_hz,
        "sample_rate_hz": usual_rate(sample_rates) or writer.sample_rate_hz,
    }
    return writer.name, [replace(clip, entry=replace(clip.entry, **unsaid)) for clip in found]


def _entries(shards: Sequence[str], root: str) -> Iterator[RecordEntry]:
    for shard in shards:
        name = os.path.relpath(shard, root).replace(os.sep, "/")
        _check_not_compressed(shard)
        # A shard without a byte stands for clips that are not there.
        for position, (offset, num_bytes) in enumerate(list(record_places(shard)) or [(0, 0)]):
            place = f"{name}#{position}"
            yield RecordEntry(place, place, (), None, None, "", num_bytes, shard, offset)


def _found(entry: RecordEntry, example: ParsedExample) -> FoundClip:
    return FoundClip(
        entry,
        label_names=tuple(example.texts(first_key(example, keys.LABEL_NAME))),
        label_numbers=tuple(example.integers(first_key(example, keys.LABEL_NUMBER))),
        media_name=media_name_of(example),
    )


def _stored_per_second(example: ParsedExample) -> tuple[float, float]:
    """Pictures and samples for each second that the clip claims to last; 0 where it does not say."""
    start, end = times_of(example)
    if start is None or end is None or end <= start:
        return 0.0, 0.0
    num_frames = len(example.items(first_key(example, keys.FRAMES)))
    num_samples = example.floats(waveform_prefix(example) + keys.FLOATS).size
    return num_frames / (end - start), num_samples / (end - start)


def _known_writer(entry: RecordEntry, example: ParsedExample) -> keys.Writer:
    if first_key(example, keys.AUDIOSET_FEATURES):
        raise _refusal(
            entry.path,
            "These are AudioSet's features, 128 numbers for each second, not clips.",
            "bad_schema",
            "Read them with `pipelines.audioset_features.audioset_features`.",
        )
    writer = keys.writer_of(example.keys)
    if writer is None:
        found = ", ".join(sorted(example.keys)[:12])
        names = ", ".join(writer.name for writer in keys.WRITERS)
        raise _refusal(
            entry.path,
            f"The records must hold keys of one of {names}. Received: {found}",
            "bad_schema",
            "See README.md of audio_visual_classification for the keys, or pack your media files instead.",
        )
    return writer


def _check_not_compressed(shard: str) -> None:
    with open(shard, "rb") as file:
        if file.read(3) == b"\x1f\x8b\x08":
            raise _refusal(shard, "A compressed shard cannot be read.", "refused_format", "Unpack the gzip.")


def _refusal(path: str, message: str, reason: str, advice: str = "") -> SourceError:
    return SourceError(message, path=path, stage="read_source", reason=reason, advice=advice)
