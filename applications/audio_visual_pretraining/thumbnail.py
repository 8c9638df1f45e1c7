"""One frame of a clip of an index, to be recognised by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from zorro_keras.applications.audio_visual_pretraining.clip_place import parts_of
from zorro_keras.applications.pipelines.decode_task import DecodeTask, decode
from zorro_keras.applications.pipelines.faults import MediaError
from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.pipelines.jpeg_frames import encode_jpegs
from zorro_keras.applications.pipelines.records import read_record
from zorro_keras.applications.pipelines.shards import parse_record

# The moment in the middle of a clip; its sound is not decoded.
_MOMENT = ClipGeometry(seconds=0.04, sample_rate_hz=16000, num_frames=1, height_px=144, width_px=192)


def thumbnail_of(clip: Mapping[str, Any]) -> bytes | None:
    """Returns the frame in the middle of a clip as JPEG; None where it has no picture, or is gone.

    Args:
        clip: entry of `ClipIndex.clips`.
    """
    if not clip["presence"]["video"]:
        return None
    return _of_record(clip) if "shard_path" in clip else _of_media(clip)


def _of_media(clip: Mapping[str, Any]) -> bytes | None:
    times = (clip["start_seconds"], clip["end_seconds"])
    # The file was checked to lie in its source when it was embedded: "/" holds them all.
    task = DecodeTask(
        clip["id"], clip["path"], "/", *times, 0.5, _MOMENT, ("video",), "skip", 0, 0, parts_of(clip)
    )
    try:
        video = decode(task).video
    except MediaError:
        return None
    return None if video is None else encode_jpegs(video)[0]


def _of_record(clip: Mapping[str, Any]) -> bytes | None:
    try:
        frames = parse_record(read_record(clip["shard_path"], clip["offset_bytes"]))["frames"].numpy()
    except tf.errors.OpError:
        return None
    return bytes(frames[len(frames) // 2]) if len(frames) else None
