"""One clip to decode, as a worker process sees it. Imports no TensorFlow, so that workers start fast."""

from __future__ import annotations

import dataclasses
from functools import partial

from zorro_keras.applications.pipelines.clip_parts import ClipParts, of_each_file
from zorro_keras.applications.pipelines.faults import MediaError
from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.pipelines.media import Window, decode_window, probe
from zorro_keras.applications.pipelines.media_bytes import MediaBytes


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
        parts: optional `ClipParts`, of a clip that is more than the file at `path`.
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
    parts: ClipParts | None = None


def decode(task: DecodeTask) -> Window:
    """Decodes the window a task asks for; one without the only stream asked for holds nothing.

    Raises:
        MediaError: whatever is wrong with the file, under `on_error` as `decode_window` has it.
    """
    if task.parts is None:
        return _of_file(task, task.path, task.streams)
    return _of_parts(task, task.parts)


def _of_file(task: DecodeTask, file: str | MediaBytes, streams: tuple[str, ...]) -> Window:
    clip_start = task.start_seconds or 0.0
    try:
        file_end = _seconds(task, file)
        clip_end = file_end if task.end_seconds is None else min(task.end_seconds, file_end)
        spare_seconds = max(0.0, clip_end - clip_start - task.geometry.seconds)
        return decode_window(
            file,
            task.geometry,
            start_seconds=clip_start + task.fraction * spare_seconds,
            end_seconds=clip_end,
            streams=streams,
            on_error=task.on_error,
            root=task.root,
        )
    except MediaError as error:
        if error.reason not in ("no_audio", "no_video"):
            raise
        return Window(audio=None, video=None, start_seconds=clip_start, faults=())


def _of_parts(task: DecodeTask, parts: ClipParts) -> Window:
    """The window of all files together, which lies where each of them has something."""
    files = parts.files(task.streams)
    opened, unopened = of_each_file(
        files, task.root, task.on_error, lambda file, streams: (file, streams, _seconds(task, file))
    )
    ends = [seconds for _, _, seconds in opened] + [task.end_seconds] * (task.end_seconds is not None)
    cut = dataclasses.replace(task, end_seconds=min(ends, default=None))
    read = partial(_of_file, cut)
    windows, lost = of_each_file([opening[:2] for opening in opened], task.root, task.on_error, read)
    return Window(
        next((window.audio for window in windows if window.audio is not None), None),
        next((window.video for window in windows if window.video is not None), None),
        max((window.start_seconds for window in windows), default=task.start_seconds or 0.0),
        tuple(error for _, error in (*unopened, *lost)),
    )


def _seconds(task: DecodeTask, file: str | MediaBytes) -> float:
    return probe(file, root=task.root).duration_seconds
