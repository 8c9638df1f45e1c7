"""Makes small real media files for tests: every container, rate, channel count and oddity.

The picture tells its own time and orientation: the top left quarter is red, the top right green, the bottom
left blue, and the bottom right is a grey whose level grows with time (`grey_level`). The sound is 440 Hz.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile

Picture = Callable[[float, int, int], np.ndarray]
Sound = Callable[[np.ndarray], np.ndarray]

# File name suffix -> the encoders of picture and sound that belong to it.
ENCODERS = {
    ".mp4": ("libx264", "aac"),
    ".mov": ("libx264", "aac"),
    ".mkv": ("libx264", "aac"),
    ".avi": ("mpeg4", "libmp3lame"),
    ".webm": ("libvpx", "libopus"),
    ".m4a": (None, "aac"),
}
# Cheap settings: small pictures, nearly lossless so that grey levels can be read back.
ENCODER_OPTIONS = {
    "libx264": {"preset": "ultrafast", "crf": "10"},
    "mpeg4": {"qmin": "2", "qmax": "2"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "crf": "4", "b": "2M"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "10", "b": "2M"},
}


def grey_level(time_seconds: float) -> float:
    """The grey of the bottom right quarter at a time: 40 at 0 s, 10 more every second, at most 240."""
    return min(40.0 + 10.0 * time_seconds, 240.0)


def time_of_grey(level: float) -> float:
    """The time in seconds at which the bottom right quarter has this grey."""
    return (level - 40.0) / 10.0


def quarters(time_seconds: float, height_px: int, width_px: int) -> np.ndarray:
    """The default picture: uint8 `(height_px, width_px, 3)`."""
    image = np.zeros((height_px, width_px, 3), np.uint8)
    middle_y, middle_x = height_px // 2, width_px // 2
    image[:middle_y, :middle_x] = (255, 0, 0)
    image[:middle_y, middle_x:] = (0, 255, 0)
    image[middle_y:, :middle_x] = (0, 0, 255)
    image[middle_y:, middle_x:] = round(grey_level(time_seconds))
    return image


def tone(times: np.ndarray) -> np.ndarray:
    """The default sound: a 440 Hz tone of amplitude 0.5 at the given times in seconds."""
    return 0.5 * np.sin(2 * np.pi * 440.0 * times)


def write_clip(
    path: str | Path,
    *,
    seconds: float = 1.0,
    has_video: bool = True,
    has_audio: bool = True,
    frame_rate_hz: float = 25.0,
    frame_times: Sequence[float] | None = None,
    width_px: int = 64,
    height_px: int = 48,
    rotation_degrees: int = 0,
    sample_rate_hz: int = 44100,
    channels: int = 2,
    audio_seconds: float | None = None,
    audio_start_seconds: float = 0.0,
    video_start_seconds: float = 0.0,
    picture: Picture = quarters,
    sound: Sound = tone,
    video_codec: str | None = None,
    audio_codec: str | None = None,
    faststart: bool = False,
    pixel_format: str = "yuv420p",
    encoder_options: dict[str, str] | None = None,
) -> Path:
    """Writes one clip in the container its suffix names, and returns its path.

    Args:
        frame_times: optional times of the frames in seconds, for a variable frame rate.
        rotation_degrees: the rotation flag, counter-clockwise, that a player must apply.
        audio_seconds: length of the sound, if it differs from `seconds`.
        audio_start_seconds: when the sound starts; likewise `video_start_seconds`.
        picture: called with (seconds, height_px, width_px), returns uint8 `(height_px, width_px, 3)`.
        sound: called with the times of the samples, returns floats in [-1, 1], `(S,)` or `(S, channels)`.
    """
    path = Path(path)
    video_name, audio_name = ENCODERS[path.suffix.lower()]
    video_name, audio_name = video_codec or video_name, audio_codec or audio_name
    options = {"movflags": "faststart"} if faststart else {}
    with av.open(str(path), "w", options=options) as container:
        streams = []
        if has_video and video_name:
            stream = container.add_stream(video_name, rate=Fraction(frame_rate_hz).limit_denominator(1001))
            stream.width, stream.height, stream.pix_fmt = width_px, height_px, pixel_format
            stream.options = {**ENCODER_OPTIONS.get(video_name, {}), **(encoder_options or {})}
            # AVI counts frames and knows no finer time.
            ticks_hz = Fraction(frame_rate_hz).limit_denominator(1001) if path.suffix == ".avi" else 90000
            stream.codec_context.time_base = 1 / Fraction(ticks_hz)
            stream.codec_context.thread_count = 1
            if rotation_degrees:
                stream.set_display_rotation(rotation_degrees)
            if frame_times is None:
                frame_times = np.arange(round(seconds * frame_rate_hz)) / frame_rate_hz
            streams.append(
                (stream, _video_frames(frame_times, video_start_seconds, height_px, width_px, picture))
            )
        if has_audio and audio_name:
            layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
            stream = container.add_stream(audio_name, rate=sample_rate_hz, layout=layout)
            length = seconds if audio_seconds is None else audio_seconds
            streams.append(
                (stream, _audio_frames(length, audio_start_seconds, sample_rate_hz, layout, sound))
            )
        _write_interleaved(container, streams)
    return path


def write_sound(
    path: str | Path,
    *,
    seconds: float = 1.0,
    sample_rate_hz: int = 16000,
    channels: int = 1,
    subtype: str | None = None,
    sound: Sound = tone,
) -> Path:
    """Writes a wav, flac, mp3, ogg or m4a file and returns its path.

    Args:
        subtype: sample type of wav and flac: `PCM_U8`, `PCM_16`, `PCM_24`, `PCM_32` or `FLOAT`.
    """
    path = Path(path)
    if path.suffix == ".m4a":
        return write_clip(
            path,
            seconds=seconds,
            sample_rate_hz=sample_rate_hz,
            channels=channels,
            sound=sound,
            has_video=False,
        )
    samples = _samples(np.arange(round(seconds * sample_rate_hz)) / sample_rate_hz, channels, sound)
    soundfile.write(path, samples, sample_rate_hz, subtype=subtype)
    return path


def spoil_stream(path: str | Path, kind: str) -> None:
    """Overwrites the packets of the `"audio"` or `"video"` of a file; its headers and the rest stay."""
    path = Path(path)
    with av.open(str(path)) as container:
        (stream,) = getattr(container.streams, kind)
        places = [(packet.pos, packet.size) for packet in container.demux(stream) if packet.size]
    data = bytearray(path.read_bytes())
    for position, size in places:
        data[position : position + size] = b"\xff" * size
    path.write_bytes(data)


def top_level_boxes(data: bytes) -> list[tuple[bytes, int, int]]:
    """The boxes of an MP4 as (type, start, end), for tests that damage a known part of a file."""
    boxes, position = [], 0
    while position + 8 <= len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        boxes.append((data[position + 4 : position + 8], position, position + size))
        position += size
    return boxes


def _samples(times: np.ndarray, channels: int, sound: Sound) -> np.ndarray:
    samples = np.asarray(sound(times), np.float32)
    return np.repeat(samples[:, None], channels, axis=1) if samples.ndim == 1 else samples


def _video_frames(times, start_seconds, height_px, width_px, picture):
    for time in times:
        frame = av.VideoFrame.from_ndarray(picture(float(time), height_px, width_px), format="rgb24")
        frame.pts = round((time + start_seconds) * 90000)
        frame.time_base = Fraction(1, 90000)
        yield time + start_seconds, frame


def _audio_frames(seconds, start_seconds, sample_rate_hz, layout, sound):
    total, block = round(seconds * sample_rate_hz), 1024
    channels = av.AudioLayout(layout).nb_channels
    for first in range(0, total, block):
        times = np.arange(first, min(first + block, total)) / sample_rate_hz
        samples = np.ascontiguousarray(_samples(times, channels, sound).T)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
        frame.sample_rate, frame.time_base = sample_rate_hz, Fraction(1, sample_rate_hz)
        frame.pts = first + round(start_seconds * sample_rate_hz)
        yield first / sample_rate_hz + start_seconds, frame


def _write_interleaved(container, streams) -> None:
    """Encodes the frames of all streams in the order of their times, as real files have them."""
    upcoming = [(stream, frames, next(frames, None)) for stream, frames in streams]
    while any(item is not None for _, _, item in upcoming):
        index = min((i for i, (_, _, item) in enumerate(upcoming) if item), key=lambda i: upcoming[i][2][0])
        stream, frames, (_, frame) = upcoming[index]
        container.mux(stream.encode(frame))
        upcoming[index] = (stream, frames, next(frames, None))
    for stream, _ in streams:
        container.mux(stream.encode(None))
