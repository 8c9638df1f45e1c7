"""Opens a media container behind a format whitelist, and limits checked before anything is allocated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av

from zorro_keras.applications.pipelines.faults import MediaError, ZorroError
from zorro_keras.applications.pipelines.media_files import open_local_file
from zorro_keras.applications.pipelines.media_structure import missing_bytes, sniff_container

# What `sniff_container` says -> the one FFmpeg reader that may open it. Nothing else is ever tried.
_READERS = {"mp4": "mov"} | {kind: kind for kind in ("matroska", "avi", "wav", "flac", "ogg", "mp3")}


@dataclass(frozen=True)
class Limits:
    """What a media file may ask of the machine, checked before memory is allocated.

    Args:
        max_file_bytes: int. Bytes of the file.
        max_seconds: float. Length in seconds.
        max_pixels: int. Width times height of the picture. 2**24 admits 4096x2304, not 8K.
        max_frame_rate_hz: float. Frames per second, counted while decoding: headers are often wrong about it.
        max_sample_rate_hz: int. Samples per second and channel.
        max_channels: int. Channels of sound.
        max_streams: int. Streams of any kind.
        max_decoded_bytes: int. Bytes of the arrays that one call returns.
    """

    max_file_bytes: int = 16 * 2**30
    max_seconds: float = 6 * 3600.0
    max_pixels: int = 2**24
    max_frame_rate_hz: float = 1000.0
    max_sample_rate_hz: int = 768_000
    max_channels: int = 64
    max_streams: int = 8
    max_decoded_bytes: int = 2**31


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class OpenMedia:
    """An open container.

    Attributes:
        path: str. The file.
        kind: str. The container as `sniff_container` names it.
        container: `av.container.InputContainer`.
        audio: the audio stream, or None.
        video: the video stream (cover pictures do not count), or None.
        origin_seconds: float. The container's time that this library calls 0.
        limits: Limits.
    """

    path: str
    kind: str
    container: av.container.InputContainer
    audio: av.audio.stream.AudioStream | None
    video: av.video.stream.VideoStream | None
    origin_seconds: float
    limits: Limits

    @property
    def declared_seconds(self) -> float | None:
        """The length the container announces, or None."""
        return None if self.container.duration is None else self.container.duration / av.time_base

    def declared_end_seconds(self, stream: av.stream.Stream) -> float | None:
        """When a stream ends according to its own header, or None if it does not say."""
        if self.kind != "matroska":
            if stream.duration is None:
                return None
            end = (stream.start_time or 0) + stream.duration
            return float(end * stream.time_base) - self.origin_seconds
        # Matroska announces the length of the whole file, which FFmpeg then reports for each stream; only a
        # tag like "00:00:03.500000000" speaks of the stream itself.
        text = stream.metadata.get("DURATION", "")
        try:
            hours, minutes, seconds = (float(part) for part in text.split(":"))
        except ValueError:
            return None
        return 3600 * hours + 60 * minutes + seconds - self.origin_seconds

    def fault(self, message: str, reason: str, stage: str) -> MediaError:
        """An error about this file."""
        return MediaError(message, path=self.path, stage=stage, reason=reason)


@contextmanager
def open_media(
    path: str | Path, *, root: str | Path | None = None, limits: Limits = DEFAULT_LIMITS
) -> Iterator[OpenMedia]:
    """Opens a media file. Only local files in a known container are read, and nothing a file may point to.

    Args:
        path: str or Path. The file. Its name does not matter, its content does.
        root: optional folder the file must lie in.
        limits: Limits.

    Yields:
        OpenMedia.

    Raises:
        MediaError: always this, whatever is wrong with the file.
    """
    with open_whole_file(path, root=root, limits=limits) as (file, kind):
        with faults_of(path, "open"):
            container = av.open(
                file,
                format=_READERS[kind],
                options={"err_detect": "crccheck+explode", "max_pixels": str(limits.max_pixels)},
                container_options={
                    "format_whitelist": ",".join(_READERS.values()),
                    "protocol_whitelist": "",
                    # One more than allowed, because surplus streams are passed over in silence.
                    "max_streams": str(limits.max_streams + 1),
                },
                metadata_errors="replace",
            )
        with container:
            with faults_of(path, "open"):
                media = _describe(path, kind, container, limits)
                _check_limits(media)
            yield media


@contextmanager
def open_whole_file(
    path: str | Path, *, root: str | Path | None = None, limits: Limits = DEFAULT_LIMITS
) -> Iterator[tuple[BinaryIO, str]]:
    """Opens a media file for a decoder, after a look at its outer structure.

    Yields:
        (file, kind): the binary file at position 0, and its container as `sniff_container` names it.

    Raises:
        MediaError: as `open_local_file`, and `not_media`, `refused_format`, `truncated`.
    """
    with open_local_file(path, root=root, max_bytes=limits.max_file_bytes) as file:
        with faults_of(path, "open"):
            kind = _accepted_kind(path, file)
        yield file, kind


@contextmanager
def faults_of(path: str | Path, stage: str) -> Iterator[None]:
    """Turns whatever a decoder raises inside the block into a MediaError that names the file."""
    try:
        yield
    except ZorroError:
        raise
    except Exception as error:
        # Decoders raise a dozen unrelated classes on damaged input, AttributeError and EOFError among them.
        reason = "corrupt"
        if isinstance(error, MemoryError):
            reason = "out_of_memory"
        elif isinstance(error, av.error.DecoderNotFoundError | NotImplementedError):
            reason = "unsupported_codec"
        message = f"The file cannot be decoded ({type(error).__name__}: {error})."
        raise MediaError(message, path=path, stage=stage, reason=reason) from error


def _accepted_kind(path: str | Path, file: BinaryIO) -> str:
    kind = sniff_container(file)
    if kind is None:
        message = "The content is none of the media formats that are read."
        raise MediaError(message, path=path, stage="open", reason="not_media")
    if kind not in _READERS:
        message = "The file is a playlist, which could name any other file."
        raise MediaError(message, path=path, stage="open", reason="refused_format")
    missing = missing_bytes(file, kind)
    if missing:
        message = f"The file is cut short: at least {missing} bytes are missing at its end."
        raise MediaError(message, path=path, stage="open", reason="truncated")
    file.seek(0)
    return kind


def _describe(
    path: str | Path, kind: str, container: av.container.InputContainer, limits: Limits
) -> OpenMedia:
    covers = av.stream.Disposition.attached_pic
    videos = [stream for stream in container.streams.video if not stream.disposition & covers]
    audio, video = _main_stream(container.streams.audio), _main_stream(videos)
    # Sound may start before 0 by the encoder's priming; that part is not shown.
    origin_seconds = max((container.start_time or 0) / av.time_base, 0.0)
    return OpenMedia(str(path), kind, container, audio, video, origin_seconds, limits)


def _main_stream(streams: list) -> av.stream.Stream | None:
    """The first stream marked as default, else the first."""
    marked = [stream for stream in streams if stream.disposition & av.stream.Disposition.default]
    return next(iter(marked + list(streams)), None)


def _check_limits(media: OpenMedia) -> None:
    limits = media.limits
    check_limit(media.path, media.declared_seconds or 0, limits.max_seconds, "seconds")
    check_limit(media.path, len(media.container.streams), limits.max_streams, "streams")
    if media.video is not None:
        codec = media.video.codec_context
        check_limit(media.path, codec.width * codec.height, limits.max_pixels, "pixels")
    if media.audio is not None:
        codec = media.audio.codec_context
        check_limit(media.path, codec.sample_rate, limits.max_sample_rate_hz, "samples per second")
        check_limit(media.path, codec.channels, limits.max_channels, "channels")


def check_limit(path: str | Path, value: float, most: float, unit: str) -> None:
    """Raises MediaError `too_large` if a file announces or asks for more than is allowed."""
    if value > most:
        message = f"The file asks for {value:.0f} {unit}, more than the {most:.0f} allowed."
        raise MediaError(message, path=path, stage="open", reason="too_large")
