"""The pictures of a container with their times, and which of them is shown when."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator

import av
import numpy as np

from zorro_keras.applications.pipelines.media_decode import check_not_cut, decoded_frames
from zorro_keras.applications.pipelines.media_open import OpenMedia, check_limit


def timed_frames(media: OpenMedia, start_seconds: float = 0.0) -> Iterator[tuple[float, av.VideoFrame]]:
    """The pictures from the one shown at a time to the end of the file.

    Args:
        media: OpenMedia with a video stream.
        start_seconds: float. Where to start.

    Yields:
        (seconds, frame). The first may be earlier than `start_seconds`, by as much as a key frame is apart.

    Raises:
        MediaError: `corrupt`, `truncated`, `empty_stream`, `too_large`, `unsupported_codec`.
    """
    stream = media.video
    usual_seconds = float(1 / (stream.average_rate or stream.guessed_rate or 25))
    first_seconds, end_seconds = None, None
    frames = decoded_frames(media, stream, "decode_video", start_seconds=start_seconds)
    for num_frames, frame in enumerate(frames):
        seconds = (end_seconds or 0.0) if frame.time is None else frame.time - media.origin_seconds
        first_seconds = seconds if first_seconds is None else first_seconds
        rate_hz = num_frames / (1.0 + max(seconds - first_seconds, 0.0))
        check_limit(media.path, rate_hz, media.limits.max_frame_rate_hz, "frames per second")
        duration = frame.duration * frame.time_base if frame.duration else usual_seconds
        end_seconds = seconds + float(duration)
        yield seconds, frame
    check_not_cut(media, stream, end_seconds, "decode_video")


def frames_shown_at(
    frames: Iterable[tuple[float, av.VideoFrame]],
    windows: Iterable[np.ndarray],
    shape: Callable[[av.VideoFrame], np.ndarray],
) -> Iterator[np.ndarray]:
    """Picks for each time the frame a player would show then: the latest that has begun.

    Holds one decoded frame at a time, and the windows under way.

    Args:
        frames: (seconds, frame) in the order of time.
        windows: for each window an ascending array `(F,)` of times in seconds. Windows start in order; they
            may overlap.
        shape: turns a frame into uint8 `(Y, X, 3)`. Called only for frames that are picked, once for each.

    Yields:
        uint8 `(F, Y, X, 3)` for each window: the first frame before it begins, the last frame after the end.
        Nothing if there is no frame at all.
    """
    windows, under_way = iter(windows), deque()
    upcoming = next(windows, None)
    for frame, gone_seconds in _with_end(frames):
        while upcoming is not None and upcoming[0] < gone_seconds:
            under_way.append(_Picking(upcoming))
            upcoming = next(windows, None)
        pixels = None
        for window in under_way:
            if window.wants(gone_seconds):
                pixels = shape(frame) if pixels is None else pixels
                window.take(pixels, gone_seconds)
        while under_way and under_way[0].is_done:
            yield under_way.popleft().picked
        if upcoming is None and not under_way:
            return


class _Picking:
    """One window while its frames are being picked."""

    def __init__(self, times: np.ndarray) -> None:
        self.times = times
        self.num_taken = 0
        self.picked: np.ndarray | None = None

    @property
    def is_done(self) -> bool:
        return self.num_taken == len(self.times)

    def wants(self, gone_seconds: float) -> bool:
        """Whether a frame that is shown until a time is shown at one of the times still open."""
        return not self.is_done and self.times[self.num_taken] < gone_seconds

    def take(self, pixels: np.ndarray, gone_seconds: float) -> None:
        """Fills every time still open at which a frame is shown that is gone at `gone_seconds`."""
        if self.picked is None:
            self.picked = np.empty((len(self.times), *pixels.shape), np.uint8)
        end = int(np.searchsorted(self.times, gone_seconds))
        self.picked[self.num_taken : end] = pixels
        self.num_taken = end


def _with_end(frames: Iterable[tuple[float, av.VideoFrame]]) -> Iterator[tuple[av.VideoFrame, float]]:
    """Pairs each frame with the time it is replaced: when the next one begins. The last one stays."""
    shown = None
    for seconds, frame in frames:
        if shown is not None:
            yield shown, seconds
        shown = frame
    if shown is not None:
        yield shown, math.inf
