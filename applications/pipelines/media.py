"""Time-aligned sound and picture from real media files.

Time 0 is when the file begins to play; both streams are placed by their own timestamps. A frame is the one a
player would show at that moment, so a variable frame rate needs no special care. A track that is absent is
None, never zeros. Whatever is wrong with a file becomes a `MediaError`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from zorro_keras.applications.pipelines.faults import MediaError, OnError
from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.pipelines.media_open import DEFAULT_LIMITS, Limits, OpenMedia, check_limit
from zorro_keras.applications.pipelines.media_picture import cover, scale_to, size_with_shorter_side
from zorro_keras.applications.pipelines.media_probe import MediaInfo, check_start, duration_of, probe
from zorro_keras.applications.pipelines.media_request import STREAMS, Request, Track, Window
from zorro_keras.applications.pipelines.media_video import frames_shown_at, timed_frames
from zorro_keras.applications.pipelines.media_windows import iterate_windows
from zorro_keras.applications.pipelines.providers import choose_audio_provider

__all__ = [
    "DEFAULT_LIMITS",
    "Limits",
    "MediaInfo",
    "Track",
    "Window",
    "decode_track",
    "decode_window",
    "iterate_windows",
    "probe",
]

Shape = Callable[[OpenMedia, av.VideoFrame], np.ndarray]


def decode_window(
    path: str | Path,
    geometry: ClipGeometry,
    *,
    start_seconds: float = 0.0,
    end_seconds: float | None = None,
    streams: tuple[str, ...] = STREAMS,
    on_error: OnError = "raise",
    audio_provider: str | None = None,
    root: str | Path | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Window:
    """Decodes one time-aligned window of a media file.

    Args:
        path: str or Path. The file. Its name does not matter, its content does.
        geometry: ClipGeometry. Length, rates and sizes. Pictures are scaled until they cover height and
            width, and cut around the middle.
        start_seconds: float. Where the window starts. Where it reaches past the end of the file, sound is
            zero and the last frame stays.
        end_seconds: optional float. Where the clip ends within the file: the window treats it as the file's.
        streams: names out of `"audio"` and `"video"`: what to decode.
        on_error: `"raise"`, `"skip"` or `"drop_modality"`. The last leaves out a damaged stream and lists its
            error in `Window.faults`, as long as another is left. Otherwise the error is raised; to skip the
            file is up to the caller, who keeps the ledger.
        audio_provider: optional str, a key of `providers.AUDIO_PROVIDERS`.
        root: optional folder the file must lie in.
        limits: Limits.

    Returns:
        Window.

    Raises:
        MediaError: whatever is wrong with the file, or if it holds nothing of what is asked for; `bad_time`
            if the clip ends before the window starts.
        ConfigError: if the audio provider does not work in this environment.
    """
    request = Request(path, tuple(streams), on_error, root, limits)
    num_bytes = 4 * geometry.num_samples + 3 * geometry.num_frames * geometry.height_px * geometry.width_px
    check_limit(path, num_bytes, limits.max_decoded_bytes, "bytes")
    with request.open() as media:
        check_start(media, start_seconds)
        num_samples, times = _within(media, geometry, start_seconds, end_seconds)
        decoders = {
            "audio": _audio_decoder(
                request, media, audio_provider, geometry.sample_rate_hz, start_seconds, num_samples
            ),
            "video": _video_decoder(
                request,
                media,
                start_seconds,
                times,
                lambda media, frame: cover(media, frame, geometry.height_px, geometry.width_px),
            ),
        }
        arrays, faults = request.collect({name: decoders[name] for name in request.present_in(media)})
    audio = arrays.get("audio")
    if audio is not None:
        audio = np.pad(audio, (0, geometry.num_samples - len(audio)))
    return Window(audio, arrays.get("video"), start_seconds, faults)


def decode_track(
    path: str | Path,
    *,
    sample_rate_hz: int,
    frame_rate_hz: float,
    shorter_side_px: int,
    start_seconds: float = 0.0,
    end_seconds: float | None = None,
    streams: tuple[str, ...] = STREAMS,
    on_error: OnError = "raise",
    audio_provider: str | None = None,
    root: str | Path | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Track:
    """Decodes a whole segment of a media file, its pictures at a constant rate, for packing.

    Args:
        path: str or Path. The file.
        sample_rate_hz: int. Samples of sound per second.
        frame_rate_hz: float. Frames per second. Frame i is the one shown at `start_seconds + (i + 0.5) /
            frame_rate_hz`.
        shorter_side_px: int. Length of the shorter side of the pictures; the aspect is kept, sizes are even.
        start_seconds: float. Where the segment starts.
        end_seconds: optional float. Where it ends; at most, and by default, at the end of the file.
        streams, on_error, audio_provider, root, limits: as for `decode_window`.

    Returns:
        Track with `round(seconds * sample_rate_hz)` samples and `round(seconds * frame_rate_hz)` frames, at
        least one.

    Raises:
        MediaError: whatever is wrong with the file, `bad_time` if the segment is empty.
        ConfigError: if the audio provider does not work in this environment.
    """
    request = Request(path, tuple(streams), on_error, root, limits)
    with request.open() as media:
        check_start(media, start_seconds)
        end_seconds = _segment_end(request, media, start_seconds, end_seconds)
        seconds = end_seconds - start_seconds
        num_samples, num_frames = (
            max(round(seconds * sample_rate_hz), 1),
            max(round(seconds * frame_rate_hz), 1),
        )
        check_limit(path, 4 * num_samples + 12 * num_frames, limits.max_decoded_bytes, "bytes")
        times = start_seconds + (np.arange(num_frames) + 0.5) / frame_rate_hz
        decoders = {
            "audio": _audio_decoder(
                request, media, audio_provider, sample_rate_hz, start_seconds, num_samples
            ),
            "video": _video_decoder(
                request, media, start_seconds, times, _KeepAspect(shorter_side_px, num_frames)
            ),
        }
        arrays, faults = request.collect({name: decoders[name] for name in request.present_in(media)})
    audio, frames = arrays.get("audio"), arrays.get("video")
    return Track(audio, frames, sample_rate_hz, frame_rate_hz, start_seconds, end_seconds, faults)


class _KeepAspect:
    """Scales every frame to the size that suits the first."""

    def __init__(self, shorter_side_px: int, num_frames: int) -> None:
        self.shorter_side_px = shorter_side_px
        self.num_frames = num_frames
        self.size: tuple[int, int] | None = None

    def __call__(self, media: OpenMedia, frame: av.VideoFrame) -> np.ndarray:
        if self.size is None:
            self.size = size_with_shorter_side(media, frame, self.shorter_side_px)
            num_bytes = 3 * self.num_frames * self.size[0] * self.size[1]
            check_limit(media.path, num_bytes, media.limits.max_decoded_bytes, "bytes")
        return scale_to(media, frame, *self.size)


def _segment_end(
    request: Request, media: OpenMedia, start_seconds: float, end_seconds: float | None
) -> float:
    duration = media.declared_seconds
    if duration is None:
        with request.open() as scanned:  # Walking over the packets uses the container up.
            duration = duration_of(scanned)
    end = duration if end_seconds is None else min(end_seconds, duration)
    if not end > start_seconds:
        message = f"The segment from {start_seconds} s to {end_seconds} s of {duration:.3f} s is empty."
        raise media.fault(message, "bad_time", "seek")
    return end


def _within(
    media: OpenMedia, geometry: ClipGeometry, start_seconds: float, end_seconds: float | None
) -> tuple[int, np.ndarray]:
    """How many samples lie before the end of the clip, and the times of the frames, none later than that."""
    times = geometry.frame_times(start_seconds)
    if end_seconds is None:
        return geometry.num_samples, times
    if not end_seconds > start_seconds:
        message = f"The clip ends at {end_seconds} s, before the window starts at {start_seconds} s."
        raise media.fault(message, "bad_time", "seek")
    num_inside = max(round((end_seconds - start_seconds) * geometry.sample_rate_hz), 1)
    return min(num_inside, geometry.num_samples), np.minimum(times, np.nextafter(end_seconds, start_seconds))


def _audio_decoder(
    request: Request,
    media: OpenMedia,
    audio_provider: str | None,
    sample_rate_hz: int,
    start_seconds: float,
    num_samples: int,
) -> Callable[[], np.ndarray | None]:
    provider = choose_audio_provider(media.kind, audio_provider)
    return lambda: provider.decode(
        request.path,
        sample_rate_hz=sample_rate_hz,
        start_seconds=start_seconds,
        num_samples=num_samples,
        root=request.root,
        limits=request.limits,
    )


def _video_decoder(
    request: Request, media: OpenMedia, start_seconds: float, times: np.ndarray, shape: Shape
) -> Callable[[], np.ndarray | None]:
    def read(container: OpenMedia, seek_seconds: float) -> np.ndarray | None:
        frames = timed_frames(container, seek_seconds)
        return next(frames_shown_at(frames, [times], lambda frame: shape(container, frame)), None)

    def decode() -> np.ndarray | None:
        fault = None
        try:
            frames = read(media, start_seconds)
        except MediaError as error:
            if error.reason != "corrupt" or start_seconds == 0:
                raise
            frames, fault = None, error
        if frames is not None:
            return frames
        # After a seek the first frames may refer to earlier ones that were passed over, and past the end
        # there are none. Only a file that fails from its start as well is damaged.
        with request.open() as fresh:
            try:
                return read(fresh, 0.0)
            except MediaError as error:
                raise fault or error from None

    return decode
