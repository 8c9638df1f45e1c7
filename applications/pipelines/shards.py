"""Reads packed shards, after checking that they are complete and hold the very bytes that were written."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zorro_keras.applications.pipelines import clip_record as keys
from zorro_keras.applications.pipelines.faults import ShardError
from zorro_keras.applications.pipelines.tfrecord import unframe_record

if TYPE_CHECKING:
    import tensorflow as tf

FORMAT = "zorro_keras shards 1"
SHARD_SUFFIX = ".tfrecord"
INDEX, RECORDS, LABELS, COVERAGE = "index.json", "records.jsonl", "labels.json", "coverage.json"
COMPLETE = "COMPLETE"  # written last; holds the hashes of the four files above
WORK_FOLDER = ".prepare"  # notes of a writer that is not done


@dataclass(frozen=True)
class RecordLocation:
    """Where one clip lies.

    Attributes:
        shard_path: str. The shard file.
        offset_bytes: int. Where the record begins in it, its length field included.
        length_bytes: int. Size of the record with its frame.
        id: str. The clip's id.
        split: str.
        duration_seconds: float.
        has_audio, has_video: bool.
        label_indices: tuple of ints.
    """

    shard_path: str
    offset_bytes: int
    length_bytes: int
    id: str
    split: str
    duration_seconds: float
    has_audio: bool
    has_video: bool
    label_indices: tuple[int, ...]


@dataclass(frozen=True)
class ShardSet:
    """A folder of shards.

    Attributes:
        path: str. The folder.
        label_names: tuple of str.
        multi_label: bool. Some clip has more than one label.
        settings: dict. How the clips were packed: `sample_rate_hz`, `frame_rate_hz`, `shorter_side_px`, ...
        fingerprint: str. The same exactly when every byte of the shards is the same.
        locations: tuple of `RecordLocation`, in the order of the shards.
    """

    path: str
    label_names: tuple[str, ...]
    multi_label: bool
    settings: dict[str, Any]
    fingerprint: str
    locations: tuple[RecordLocation, ...]

    def split(self, name: str) -> list[RecordLocation]:
        """The records of one split, possibly none."""
        return [location for location in self.locations if location.split == name]


def is_shards(path: str | os.PathLike) -> bool:
    """Whether a folder holds shards, finished or not."""
    return any(os.path.exists(os.path.join(path, name)) for name in (COMPLETE, INDEX, WORK_FOLDER))


def open_shards(path: str | os.PathLike, verify: bool = True) -> ShardSet:
    """Opens a folder of shards.

    Args:
        path: str or path. What `prepare` wrote.
        verify: bool. Read every byte and compare hashes. Names and sizes are always compared.

    Returns:
        A `ShardSet`.

    Raises:
        ShardError: If the shards are not complete, or differ in anything from what was written. Names the
            shard, and the record if one is damaged.
    """
    path = os.fspath(path)
    marker = _read(path, COMPLETE, "incomplete")
    hashes = _parse(path, COMPLETE, lambda: dict(json.loads(marker)))
    files = {name: _read(path, name, "missing_file") for name in (INDEX, RECORDS, LABELS, COVERAGE)}
    for name, data in files.items():
        if hashlib.sha256(data).hexdigest() != hashes.get(name):
            raise _fault(path, name, "The file changed since it was written.", "checksum")
    index = _parse(path, INDEX, lambda: json.loads(files[INDEX]))
    if index.get("format") != FORMAT:
        raise _fault(
            path, INDEX, f"The format must be {FORMAT!r}. Received: {index.get('format')!r}", "bad_schema"
        )
    shards = _parse(path, INDEX, lambda: [Shard(**shard) for shard in index["shards"]])
    locations = _parse(path, RECORDS, lambda: tuple(_locations(path, shards, files[RECORDS])))
    _check_names(path, shards)
    inside = {os.path.join(path, shard.name): [] for shard in shards}
    for location in locations:
        inside[location.shard_path].append(location)
    for shard in shards:
        _check_shard(path, shard, inside[os.path.join(path, shard.name)], verify)
    return ShardSet(
        path=path,
        label_names=tuple(json.loads(files[LABELS])),
        multi_label=index["multi_label"],
        settings=index["settings"],
        fingerprint=hashlib.sha256(marker).hexdigest(),
        locations=locations,
    )


@dataclass(frozen=True)
class Shard:
    """What the index says about one shard file: name, split, number of records, size and SHA-256."""

    name: str
    split: str
    num_records: int
    num_bytes: int
    sha256: str


def _locations(path: str, shards: list[Shard], lines: bytes) -> Iterable[RecordLocation]:
    for line in lines.splitlines():
        row = json.loads(line)
        shard = shards[row.pop("shard")]
        row["label_indices"] = tuple(row["label_indices"])
        yield RecordLocation(shard_path=os.path.join(path, shard.name), split=shard.split, **row)


def _check_names(path: str, shards: list[Shard]) -> None:
    found = {name for name in os.listdir(path) if name.endswith(SHARD_SUFFIX)}
    expected = {shard.name for shard in shards}
    for name in sorted(expected - found):
        raise _fault(path, name, "The shard is missing.", "missing_file")
    for name in sorted(found - expected):
        raise _fault(path, name, "The shard is not in the index.", "bad_schema")


def _check_shard(path: str, shard: Shard, locations: list[RecordLocation], verify: bool) -> None:
    num_bytes = os.path.getsize(os.path.join(path, shard.name))
    indexed_bytes = sum(location.length_bytes for location in locations)
    if (indexed_bytes, len(locations)) != (shard.num_bytes, shard.num_records):
        raise _fault(
            path, shard.name, "The index and the list of records disagree about the shard.", "bad_schema"
        )
    if num_bytes != shard.num_bytes:
        reason = "truncated" if num_bytes < shard.num_bytes else "checksum"
        raise _fault(
            path,
            shard.name,
            f"The shard must have {shard.num_bytes} bytes. Received: {num_bytes} bytes",
            reason,
        )
    if verify and file_sha256(os.path.join(path, shard.name)) != shard.sha256:
        damaged = next((place for place in locations if not _is_intact(place)), None)
        where = "its records are those of another shard" if damaged is None else f"first in {damaged.id!r}"
        row = None if damaged is None else locations.index(damaged)
        raise _fault(path, shard.name, f"The shard changed since it was written: {where}.", "checksum", row)


def file_sha256(path: str) -> str:
    """SHA-256 of a whole file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_intact(location: RecordLocation) -> bool:
    with open(location.shard_path, "rb") as file:
        file.seek(location.offset_bytes)
        payload = unframe_record(file.read(location.length_bytes))
    return payload is not None and location.id.encode() in payload


def _read(path: str, name: str, reason: str) -> bytes:
    try:
        with open(os.path.join(path, name), "rb") as file:
            return file.read()
    except OSError as error:
        raise _fault(path, name, f"The file cannot be read: {error.strerror}.", reason) from error


def _parse(path: str, name: str, parse: Any) -> Any:
    try:
        return parse()
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise _fault(path, name, f"The file does not say what it must: {error}.", "bad_schema") from error


def _fault(path: str, name: str, message: str, reason: str, row: int | None = None) -> ShardError:
    return ShardError(message, path=os.path.join(path, name), row=row, stage="open_shards", reason=reason)


def parse_record(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Parses one record, inside a `tf.data` graph or eagerly.

    Args:
        serialized: string scalar. The payload of a record.

    Returns:
        dict of tensors: `id` string; `frames` string `(F,)`, JPEG images; `frame_rate_hz` float32, 0 without
        video; `audio` float32 `(S,)`; `sample_rate_hz` float32, 0 without audio; `label_indices` int64
        `(L,)`; `has_audio`, `has_video` bool; `duration_seconds` float32.
    """
    import tensorflow as tf

    context, lists = tf.io.parse_single_sequence_example(
        serialized,
        context_features={
            keys.ID: tf.io.FixedLenFeature([], tf.string),
            keys.START_MICROSECONDS: tf.io.FixedLenFeature([], tf.int64),
            keys.END_MICROSECONDS: tf.io.FixedLenFeature([], tf.int64),
            keys.FRAME_RATE_HZ: tf.io.FixedLenFeature([], tf.float32, 0.0),
            keys.SAMPLE_RATE_HZ: tf.io.FixedLenFeature([], tf.float32, 0.0),
            keys.LABEL_INDEX: tf.io.VarLenFeature(tf.int64),
        },
        sequence_features={
            keys.FRAMES: tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True),
            keys.WAVEFORM: tf.io.VarLenFeature(tf.float32),
        },
    )
    microseconds = context[keys.END_MICROSECONDS] - context[keys.START_MICROSECONDS]
    return {
        "id": context[keys.ID],
        "frames": lists[keys.FRAMES],
        "frame_rate_hz": context[keys.FRAME_RATE_HZ],
        "audio": lists[keys.WAVEFORM].values,
        "sample_rate_hz": context[keys.SAMPLE_RATE_HZ],
        "label_indices": context[keys.LABEL_INDEX].values,
        "has_audio": context[keys.SAMPLE_RATE_HZ] > 0,
        "has_video": context[keys.FRAME_RATE_HZ] > 0,
        "duration_seconds": tf.cast(tf.cast(microseconds, tf.float64) / 1e6, tf.float32),
    }
