"""The keys under which programs store clips in TFRecord files, and what they leave unsaid.

Programs borrow keys from each other, so every record is read by all of them; who wrote it only decides what
is assumed where neither a key nor the times of the clips say it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# Meaning -> the keys it has been stored under, the first one found counts.
FRAMES = ("image/encoded",)
FRAME_MICROSECONDS = ("image/timestamp",)
FRAME_RATE_HZ = ("image/frame_rate",)
WAVEFORM = "WAVEFORM"  # the prefix that all use for samples
FLOATS, SAMPLE_RATE, NUM_CHANNELS = "/feature/floats", "/feature/sample_rate", "/feature/num_channels"
LOWEST_SAMPLE_RATE_HZ = 4000.0  # under another prefix, a lower rate is that of features
ENCODED = ("clip/encoded_media_bytes", "video/encoded")
ENCODED_AUDIO = ("audio/encoded",)
ENCODED_START_MICROSECONDS = ("clip/encoded_media_start_timestamp",)
START_MICROSECONDS = ("clip/start/timestamp",)
END_MICROSECONDS = ("clip/end/timestamp",)
LABEL_NAME = ("clip/label/string", "clip/label/text")
LABEL_NUMBER = ("clip/label/index",)
MEDIA_NAME = ("clip/data_path", "video/filename", "clip/media_id", "example/id")
LOG_MEL = ("melspec/feature/floats",)
AUDIOSET_FEATURES = ("audio_embedding",)


@dataclass(frozen=True)
class Writer:
    """A program that writes shards.

    Attributes:
        name: str.
        marks: tuple of str. Any of these keys tells it from those below it in the table.
        frame_rate_hz, sample_rate_hz: float or None. Where nothing else says so.
    """

    name: str
    marks: tuple[str, ...]
    frame_rate_hz: float | None
    sample_rate_hz: float | None


WRITERS = (
    Writer("Scenic MBT", LOG_MEL, 25.0, 16_000.0),
    Writer(
        "MediaSequence",
        ("clip/label/string", "clip/data_path", "clip/media_id", "example/id", *FRAME_MICROSECONDS, *ENCODED),
        None,
        None,
    ),
    Writer("DMVR", (*FRAMES, WAVEFORM + FLOATS, "video/filename"), 10.0, 48_000.0),
)


def writer_of(keys: Iterable[str]) -> Writer | None:
    """Who wrote a record with these keys; None if it is none of them."""
    return next((writer for writer in WRITERS if set(writer.marks) & set(keys)), None)
