"""One clip to decode, as a worker process sees it. Imports no TensorFlow, so that workers start fast."""

from __future__ import annotations

import dataclasses

from zorro_keras.applications.pipelines.faults import MediaError
from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.pipelines.media import Window, decode_window, probe


@dataclasses.dataclass(frozen=True)
class DecodeTask:
    """A window to decode.

    Args:
        id: str. The clip's id.
        path: str. The media file.
        root: str. The folder of the source; nothing outside it is opened.
        start_seconds: optional float. Where the clip starts in the file; None is the file's start.
        end_seconds: optional float. Where the clip ends in the file; at most, and for None, the file's end.
        fraction: float in [0, 1]. Where in the clip the window starts: 0 earliest, 1 latest.
        geometry: `ClipGeometry` of the window.
        streams: tuple of "audio", "video" or both.
        on_error: "raise", "skip" or "drop_modality".
        index, position: int. Which example this is, and where it stands in the order.
    """

    id: str
    path: str
    root: str
    start_seconds: float | None
    end_seconds: float | None
    fraction: float
    geometry: ClipGeometry
    streams: tuple[str, ...]
    on_error: str
    index: int
    position: int


def decode(task: DecodeTask) -> Window:
    """Decodes the window a task asks for; one without the only stream asked for holds nothing.

    Raises:
        MediaError: whatever is wrong with the file, under `on_error` as `decode_window` has it.
    """
    try:
        return _decode(task)
    except MediaError as error:
        if error.reason not in ("no_audio", "no_video"):
            raise
        return Window(audio=None, video=None, start_seconds=task.start_seconds or 0.0, faults=())


def _decode(task: DecodeTask) -> Window:
    clip_start = task.start_seconds or 0.0
    file_end = probe(task.path, root=task.root).duration_seconds
    clip_end = file_end if task.end_seconds is None else min(task.end_seconds, file_end)
    spare_seconds = max(0.0, clip_end - clip_start - task.geometry.seconds)
    return decode_window(
        task.path,
        task.geometry,
        start_seconds=clip_start + task.fraction * spare_seconds,
        end_seconds=clip_end,
        streams=task.streams,
        on_error=task.on_error,
        root=task.root,
    )
