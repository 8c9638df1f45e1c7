"""Packs one clip, in a worker process: decode, encode the frames as JPEG, frame the record. Imports no
TensorFlow.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from zorro_keras.applications.pipelines.clip_record import PackedClip, encode_clip_record
from zorro_keras.applications.pipelines.faults import MediaError, OnError
from zorro_keras.applications.pipelines.media import MediaInfo, decode_track, probe
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
    """

    record: bytes
    duration_seconds: float
    has_audio: bool
    has_video: bool
    is_shortened: bool
    lost: tuple[tuple[str, MediaError], ...]


def pack_clip(task: PackTask) -> PackedRecord:
    """Packs one clip.

    Raises:
        MediaError: If the clip is damaged and `on_error` does not let it lose the damaged stream, or loses
            them all.
    """
    entry, settings = task.entry, task.settings
    info = _facts(task)
    start = entry.start_seconds or 0.0
    ends = [end for end in (entry.end_seconds, info and info.duration_seconds) if end is not None]
    cut = start + settings.max_seconds
    sizes = [size for size in (info and info.height_px, info and info.width_px) if size]
    track = decode_track(
        entry.path,
        sample_rate_hz=settings.sample_rate_hz,
        frame_rate_hz=settings.frame_rate_hz,
        shorter_side_px=min([settings.shorter_side_px, *sizes]),
        start_seconds=start,
        end_seconds=min([cut, *ends]),
        on_error=task.on_error,
        root=task.root,
    )
    clip = PackedClip(
        id=entry.id,
        data_path=os.path.relpath(entry.path, task.root).replace(os.sep, "/"),
        label_indices=entry.label_indices,
        label_names=[task.label_names[index] for index in entry.label_indices],
        start_seconds=start,
        duration_seconds=track.end_seconds - track.start_seconds,
        audio=track.audio,
        sample_rate_hz=settings.sample_rate_hz,
        frames=track.frames,
        frame_rate_hz=settings.frame_rate_hz,
    )
    return PackedRecord(
        record=frame_record(encode_clip_record(clip)),
        duration_seconds=clip.duration_seconds,
        has_audio=track.audio is not None,
        has_video=track.frames is not None,
        is_shortened=cut < min(ends, default=cut),
        lost=tuple(("audio" if track.audio is None else "video", fault) for fault in track.faults),
    )


def _facts(task: PackTask) -> MediaInfo | None:
    """What the file says about itself; `None` where its damage may leave one stream to pack."""
    try:
        return probe(task.path, root=task.root)
    except MediaError:
        if task.on_error != "drop_modality":
            raise
        return None
