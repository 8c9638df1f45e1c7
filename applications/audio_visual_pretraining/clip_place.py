"""Where the files of a clip lie, as an index writes it down."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from zorro_keras.applications.pipelines.clip_parts import ClipParts
from zorro_keras.applications.pipelines.shards import RecordLocation
from zorro_keras.applications.pipelines.source_rows import ClipEntry


def place_of(clip: ClipEntry | RecordLocation) -> dict[str, Any]:
    """Returns what an entry of `ClipIndex.clips` says of where its clip lies, ready for JSON."""
    if not isinstance(clip, ClipEntry):
        return {"shard_path": os.path.abspath(clip.shard_path), "offset_bytes": clip.offset_bytes}
    times = {"start_seconds": clip.start_seconds, "end_seconds": clip.end_seconds}
    place = {"path": os.path.abspath(clip.path), **times}
    if clip.parts is None:
        return place
    pictures, sound = clip.parts.pictures, clip.parts.sound
    one_file = isinstance(pictures, str)
    parts = {
        "pictures": os.path.abspath(pictures) if one_file else [os.path.abspath(path) for path in pictures],
        "sound": None if sound is None else os.path.abspath(sound),
    }
    return {**place, "parts": parts}


def parts_of(clip: Mapping[str, Any]) -> ClipParts | None:
    """Returns the files of an entry of `ClipIndex.clips`; None for a clip that is one file."""
    if (parts := clip.get("parts")) is None:
        return None
    pictures = parts["pictures"]
    return ClipParts(pictures if isinstance(pictures, str) else tuple(pictures), parts["sound"])


def sound_file_of(clip: Mapping[str, Any]) -> str | None:
    """Returns the file whose sound was embedded; None where there is none, or it lies in a shard."""
    if "path" not in clip or not clip["presence"]["audio"]:
        return None
    parts = parts_of(clip)
    return clip["path"] if parts is None else parts.sound
