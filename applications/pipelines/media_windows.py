"""A long file as consecutive windows, in one pass and constant memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from zorro_keras.applications.pipelines.faults import MediaError, OnError
from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.pipelines.media_audio import resampled_blocks
from zorro_keras.applications.pipelines.media_open import DEFAULT_LIMITS, Limits, OpenMedia
from zorro_keras.applications.pipelines.media_picture import cover
from zorro_keras.applications.pipelines.media_probe import duration_of
from zorro_keras.applications.pipelines.media_request import STREAMS, Request, Window
from zorro_keras.applications.pipelines.media_timeline import sliding_windows
from zorro_keras.applications.pipelines.media_video import frames_shown_at, timed_frames


def window_starts(duration_seconds: float, window_seconds: float, hop_seconds: float) -> list[float]:
    """Starts of the windows, in seconds, that cover a file: the last one is the first to reach its end."""
    if not hop_seconds > 0:
        raise ValueError(f"`hop_seconds` must be positive. Received: hop_seconds={hop_seconds}")
    starts = [0.0]
    # A window that ends a hair before the end of the file, by rounding of durations, has covered it.
    while starts[-1] + window_seconds < duration_seconds - 1e-3:
        starts.append(len(starts) * hop_seconds)
    return starts


def iterate_windows(
    path: str | Path,
    geometry: ClipGeometry,
    *,
    hop_seconds: float,
    streams: tuple[str, ...] = STREAMS,
    on_error: OnError = "raise",
    root: str | Path | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[Window]:
    """Yields the windows that cover a file, in order. Decodes every stream once, whatever the file's length.

    Args:
        path: str or Path. The file.
        geometry: ClipGeometry of each window.
        hop_seconds: float. Time from one start to the next, in seconds. Smaller than the window: they
            overlap.
        streams, on_error, root, limits: as for `decode_window`. With `on_error="drop_modality"` a stream that
            turns out damaged is left out of all windows from there on.

    Yields:
        Window.

    Raises:
        MediaError: whatever is wrong with the file.
    """
    request = Request(path, tuple(streams), on_error, root, limits)
    with request.open() as media:
        names = request.present_in(media)
        starts = window_starts(duration_of(media), geometry.seconds, hop_seconds)
    with ExitStack() as stack:
        # One container per stream: were both read from one, badly interleaved files would pile up in memory.
        lanes = {name: _LANES[name](stack.enter_context(request.open()), geometry, starts) for name in names}
        broken: dict[str, MediaError] = {}
        for start_seconds in starts:
            arrays, faults = request.collect({name: _Step(lanes[name], name, broken) for name in lanes})
            yield Window(arrays.get("audio"), arrays.get("video"), start_seconds, faults)


class _Step:
    """Takes the next window of one stream; after damage it reports the same error again."""

    def __init__(self, lane: Iterator[np.ndarray | None], name: str, broken: dict[str, MediaError]) -> None:
        self.lane, self.name, self.broken = lane, name, broken

    def __call__(self) -> np.ndarray | None:
        if self.name in self.broken:
            raise self.broken[self.name]
        try:
            return next(self.lane)
        except MediaError as error:
            self.broken[self.name] = error
            raise


def _audio_lane(media: OpenMedia, geometry: ClipGeometry, starts: list[float]) -> Iterator[np.ndarray | None]:
    firsts = [round(start * geometry.sample_rate_hz) for start in starts]
    blocks = resampled_blocks(media, sample_rate_hz=geometry.sample_rate_hz)
    return sliding_windows(blocks, firsts, geometry.num_samples)


def _video_lane(media: OpenMedia, geometry: ClipGeometry, starts: list[float]) -> Iterator[np.ndarray | None]:
    return frames_shown_at(
        timed_frames(media),
        (geometry.frame_times(start) for start in starts),
        lambda frame: cover(media, frame, geometry.height_px, geometry.width_px),
    )


_LANES = {"audio": _audio_lane, "video": _video_lane}
