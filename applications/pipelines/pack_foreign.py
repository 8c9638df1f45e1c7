"""Packs one clip, also from a shard of another library, in a worker process. Imports no TensorFlow."""

from __future__ import annotations

from zorro_keras.applications.pipelines.foreign_entry import EmbeddedClip, ForeignEntry
from zorro_keras.applications.pipelines.media_bytes import MediaBytes
from zorro_keras.applications.pipelines.media_request import STREAMS
from zorro_keras.applications.pipelines.pack_clip import (
    PackedRecord,
    PackTask,
    decode_each,
    pack_clip,
    packed,
)


def pack_any_clip(task: PackTask) -> PackedRecord:
    """Packs one clip as its entry says: the sources of a mixture are of both kinds."""
    return (pack_foreign_clip if isinstance(task.entry, ForeignEntry) else pack_clip)(task)


def pack_foreign_clip(task: PackTask) -> PackedRecord:
    """Packs one clip whose entry is a `ForeignEntry`.

    Raises:
        MediaError: if the clip is damaged, or has no label where others have, and `on_error` does not let it
            lose the damaged stream, or it loses them all.
    """
    entry = task.entry
    clip = entry.load(task.root)
    if task.label_names and not entry.label_indices:
        raise entry.fault("The clip has no label that can be read, while others have.", "bad_label")
    tracks, lost = decode_each(task, _files(clip), *clip.window)
    return packed(
        task,
        tracks,
        start_seconds=clip.start_seconds,
        data_path=clip.media_name or entry.id,
        lost=lost,
        remarks=clip.remarks,
    )


def _files(clip: EmbeddedClip) -> list[tuple[MediaBytes, tuple[str, ...]]]:
    """The files of a clip, and what is read from each."""
    if clip.video is clip.audio:
        return [(clip.video, STREAMS)]
    pairs = ((clip.video, ("video",)), (clip.audio, ("audio",)))
    return [(file, streams) for file, streams in pairs if file is not None]
