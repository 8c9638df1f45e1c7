"""Packs one clip, in a worker process: decode, encode the frames as JPEG, frame the record. Imports no
TensorFlow.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zorro_keras.applications.pipelines.clip_parts import of_each_file
from zorro_keras.applications.pipelines.clip_record import PackedClip, encode_clip_record
from zorro_keras.applications.pipelines.faults import MediaError, OnError
from zorro_keras.applications.pipelines.media import MediaInfo, Track, decode_track, probe
from zorro_keras.applications.pipelines.media_bytes import MediaBytes
from zorro_keras.applications.pipelines.media_request import STREAMS
from zorro_keras.applications.pipelines.source_rows import ClipEntry
from zorro_keras.applications.pipelines.tfrecord import frame_record


@dataclass(frozen=True)
class PackSettings:
    """How clips are packed.

    Attributes:
        sample_rate_hz: int. Rate the sound is resampled to.
        frame_rate_hz: float. Rate the picture is sampled at.
        shorter_side_px: int. Larger pictures are scaled down to this shorter side; smaller ones stay as they
            are.
        max_seconds: float. Only the beginning of a longer clip is packed.
        clips_per_shard: int. Clips of the source that go into one shard file.
    """

    sample_rate_hz: int
    frame_rate_hz: float
    shorter_side_px: int
    max_seconds: float
    clips_per_shard: int

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value < float("inf"):
                raise ValueError(f"`{name}` must be positive and finite. Received: {name}={value}")


@dataclass(frozen=True)
class PackTask:
    """One clip to pack: what the source says about it, and how to pack it."""

    entry: ClipEntry
    label_names: tuple[str, ...]
    root: str
    settings: PackSettings
    on_error: OnError

    @property
    def path(self) -> str:
        """The media file."""
        return self.entry.path


@dataclass(frozen=True)
class PackedRecord:
    """One clip, packed.

    Attributes:
        record: bytes. A whole TFRecord record.
        duration_seconds: float.
        has_audio, has_video: bool.
        is_shortened: bool. The clip is longer than what was packed.
        lost: tuple of (stream, error) for the streams left out because they are damaged.
        remarks: tuple of str. What is uncommon about the clip, though it was used.
    """

    record: bytes
    duration_seconds: float
    has_audio: bool
    has_video: bool
    is_shortened: bool
    lost: tuple[tuple[str, MediaError], ...]
    remarks: tuple[str, ...] = ()


def pack_clip(task: PackTask) -> PackedRecord:
    """Packs one clip.

    Raises:
        MediaError: If the clip is damaged and `on_error` does not let it lose the damaged stream, or loses
            them all.
    """
    entry, start = task.entry, task.entry.start_seconds or 0.0
    files = [(entry.path, STREAMS)] if entry.parts is None else entry.parts.files(STREAMS)
    tracks, lost = decode_each(task, files, start, entry.end_seconds)
    name = os.path.relpath(entry.path, task.root).replace(os.sep, "/")
    return packed(task, tracks, start_seconds=start, data_path=name, lost=lost)


def decode_each(
    task: PackTask,
    files: Sequence[tuple[Any, tuple[str, ...]]],
    start_seconds: float,
    end_seconds: float | None,
) -> tuple[list[tuple[Track, bool]], tuple[tuple[str, MediaError], ...]]:
    """Decodes as much as is packed of each file of a clip: see `of_each_file`, whose results these are."""
    return of_each_file(
        files,
        task.root,
        task.on_error,
        lambda file, streams: decode_to_pack(task, file, start_seconds, end_seconds, streams=streams),
    )


def decode_to_pack(
    task: PackTask,
    file: str | MediaBytes,
    start_seconds: float,
    end_seconds: float | None,
    *,
    streams: tuple[str, ...] = STREAMS,
) -> tuple[Track, bool]:
    """Decodes as much of a media file as is packed.

    Returns:
        (track, whether it is shorter than the clip).
    """
    settings, info = task.settings, _facts(task, file)
    ends = [end for end in (end_seconds, info and info.duration_seconds) if end is not None]
    cut = start_seconds + settings.max_seconds
    sizes = [size for size in (info and info.height_px, info and info.width_px) if size]
    track = decode_track(
        file,
        sample_rate_hz=settings.sample_rate_hz,
        frame_rate_hz=settings.frame_rate_hz,
        shorter_side_px=min([settings.shorter_side_px, *sizes]),
        start_seconds=start_seconds,
        end_seconds=min([cut, *ends]),
        streams=streams,
        on_error=task.on_error,
        root=task.root,
    )
    return track, cut < min(ends, default=cut)


def packed(
    task: PackTask,
    tracks: Sequence[tuple[Track, bool]],
    *,
    start_seconds: float,
    data_path: str,
    lost: tuple[tuple[str, MediaError], ...] = (),
    remarks: tuple[str, ...] = (),
) -> PackedRecord:
    """Makes one record of what was decoded.

    Args:
        task: `PackTask`.
        tracks: as from `decode_to_pack`: one, or one for each stream.
        start_seconds: float. Where the clip begins in the file it was cut from.
        data_path: str. That file.
        lost: tuple of (stream, error). Streams that were left out besides those the tracks tell.
        remarks: tuple of str. What is uncommon about the clip.
    """
    entry, settings = task.entry, task.settings
    whole = [track for track, _ in tracks]
    clip = PackedClip(
        id=entry.id,
        data_path=data_path,
        label_indices=entry.label_indices,
        label_names=[task.label_names[index] for index in entry.label_indices],
        start_seconds=start_seconds,
        duration_seconds=max(track.end_seconds - track.start_seconds for track in whole),
        audio=next((track.audio for track in whole if track.audio is not None), None),
        sample_rate_hz=settings.sample_rate_hz,
        frames=next((track.frames for track in whole if track.frames is not None), None),
        frame_rate_hz=settings.frame_rate_hz,
    )
    faults = [
        ("audio" if track.audio is None else "video", fault) for track in whole for fault in track.faults
    ]
    return PackedRecord(
        record=frame_record(encode_clip_record(clip)),
        duration_seconds=clip.duration_seconds,
        has_audio=clip.audio is not None,
        has_video=clip.frames is not None,
        is_shortened=any(is_shortened for _, is_shortened in tracks),
        lost=(*faults, *lost),
        remarks=remarks,
    )


def _facts(task: PackTask, file: str | MediaBytes) -> MediaInfo | None:
    """What the file says about itself; `None` where its damage may leave one stream to pack."""
    try:
        return probe(file, root=task.root)
    except MediaError:
        if task.on_error != "drop_modality":
            raise
        return None
