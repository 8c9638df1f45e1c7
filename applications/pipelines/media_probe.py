"""What a media file says about itself."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from zorro_keras.applications.pipelines.faults import MediaError
from zorro_keras.applications.pipelines.media_open import (
    DEFAULT_LIMITS,
    Limits,
    OpenMedia,
    faults_of,
    open_media,
)
from zorro_keras.applications.pipelines.media_picture import placement_of
from zorro_keras.applications.pipelines.media_video import timed_frames


@dataclass(frozen=True)
class MediaInfo:
    """What a media file says about itself. A stream that is absent has None for all its facts.

    Attributes:
        path: str. The file.
        container: str. `mp4`, `matroska`, `avi`, `wav`, `flac`, `ogg` or `mp3`, by content.
        duration_seconds: float. When the longest stream ends.
        has_audio, has_video: bool. Cover pictures are no video.
        audio_codec, video_codec: str. FFmpeg's names.
        audio_sample_rate_hz, audio_channels: int.
        frame_rate_hz: float. The average, None if the header does not say; the real rate may vary.
        height_px, width_px: int. What a person sees, after the rotation flag and the pixel aspect.
    """

    path: str
    container: str
    duration_seconds: float
    has_audio: bool
    has_video: bool
    audio_codec: str | None = None
    audio_sample_rate_hz: int | None = None
    audio_channels: int | None = None
    video_codec: str | None = None
    frame_rate_hz: float | None = None
    height_px: int | None = None
    width_px: int | None = None


def probe(path: str | Path, *, root: str | Path | None = None, limits: Limits = DEFAULT_LIMITS) -> MediaInfo:
    """Reads the headers of a media file and its first frame.

    Args:
        path: str or Path. The file.
        root: optional folder the file must lie in.
        limits: Limits.

    Raises:
        MediaError: if the file cannot be opened, is cut short, exceeds a limit or has neither sound nor
            pictures.
    """
    with open_media(path, root=root, limits=limits) as media:
        return _describe(media)


def _describe(media: OpenMedia) -> MediaInfo:
    if media.audio is None and media.video is None:
        raise media.fault("The file has neither sound nor pictures.", "no_streams", "open")
    facts, duration = {}, duration_of(media)
    if media.audio is not None:
        codec = media.audio.codec_context
        facts |= {
            "audio_codec": codec.name,
            "audio_sample_rate_hz": codec.sample_rate,
            "audio_channels": codec.channels,
        }
    if media.video is not None:
        height_px, width_px = _seen_size(media)
        facts |= {"video_codec": media.video.codec_context.name, "frame_rate_hz": _frame_rate(media)}
        facts |= {"height_px": height_px, "width_px": width_px}
    return MediaInfo(
        path=media.path,
        container=media.kind,
        duration_seconds=duration,
        has_audio=media.audio is not None,
        has_video=media.video is not None,
        **facts,
    )


def _frame_rate(media: OpenMedia) -> float | None:
    """The average rate, unless what the header says is a clock rate and no rate of frames."""
    rate = float(media.video.average_rate or 0)
    return rate if 0 < rate <= media.limits.max_frame_rate_hz else None


def _seen_size(media: OpenMedia) -> tuple[int, int]:
    """Height and width a person sees. The display matrix comes with the first frame, not with the header."""
    try:
        with closing(timed_frames(media)) as frames:
            _, frame = next(frames)
            height_px, width_px = placement_of(media, frame).seen_size(frame)
            return round(height_px), round(width_px)
    except MediaError:  # Damage is reported by decoding, where the stream can still be left out.
        return media.video.codec_context.height, media.video.codec_context.width


def duration_of(media: OpenMedia) -> float:
    """The length in seconds, from the header or else by walking over the packets (live recordings)."""
    if media.declared_seconds is not None:
        return media.declared_seconds
    end_seconds = 0.0
    with faults_of(media.path, "demux"):
        for packet in media.container.demux():
            if packet.pts is not None:
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base) - media.origin_seconds
                end_seconds = max(end_seconds, end)
    return end_seconds


def check_start(media: OpenMedia, start_seconds: float) -> None:
    """Raises MediaError `bad_time` unless a time is finite, not negative and not past the end of the file."""
    if not (math.isfinite(start_seconds) and start_seconds >= 0):
        message = f"`start_seconds` must be finite and not negative. Received: start_seconds={start_seconds}"
        raise media.fault(message, "bad_time", "seek")
    if media.declared_seconds is not None and start_seconds > 0 and start_seconds >= media.declared_seconds:
        message = (
            f"The start, {start_seconds} s, lies past the end of the file, {media.declared_seconds:.3f} s."
        )
        raise media.fault(message, "bad_time", "seek")
