"""A clip that is one record of a TFRecord shard: its pictures, its samples, or a media file inside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from zorro_keras.applications.pipelines import foreign_keys as keys
from zorro_keras.applications.pipelines.embedded_media import film_of, sound_file_of
from zorro_keras.applications.pipelines.foreign_entry import EmbeddedClip, ForeignEntry
from zorro_keras.applications.pipelines.foreign_sound import repair_sound
from zorro_keras.applications.pipelines.media_bytes import MediaBytes
from zorro_keras.applications.pipelines.media_open import DEFAULT_LIMITS
from zorro_keras.applications.pipelines.parse_example import ParsedExample, parse_example
from zorro_keras.applications.pipelines.tfrecord import unframe_record

MEL_REMARK = "sound left out: only its log-mel spectrogram is stored"
SILENT_REMARK = "sound is silent: every sample is zero"


@dataclass(frozen=True)
class RecordEntry(ForeignEntry):
    """A clip that is one record; `num_bytes` is its size with its frame.

    Attributes:
        offset_bytes: int. Where the record lies in the shard.
        frame_rate_hz, sample_rate_hz: optional float. What holds where the record itself does not say.
    """

    offset_bytes: int = 0
    frame_rate_hz: float | None = None
    sample_rate_hz: float | None = None

    def load(self, root: str) -> EmbeddedClip:
        example = self.parsed(root)
        try:
            return self._clip(example)
        except ValueError as error:  # a value of another type than its key promises
            raise self.fault(f"The record cannot be read: {error}.", "bad_record") from error

    def parsed(self, root: str) -> ParsedExample:
        """The record, after its checksums were compared.

        Raises:
            MediaError: `truncated`, `checksum` or `bad_record`.
        """
        data = self.read(root, self.offset_bytes, self.num_bytes)
        payload = unframe_record(data)
        if payload is None:
            message = "The record is damaged; where its length is, all that follows in the shard is lost."
            raise self.fault(message, "checksum")
        try:
            return parse_example(payload)
        except ValueError as error:
            raise self.fault(f"The record cannot be read: {error}.", "bad_record") from error

    def _clip(self, example: ParsedExample) -> EmbeddedClip:
        start, end = times_of(example)
        name, begin = media_name_of(example), start or 0.0
        whole = self._encoded(example, keys.ENCODED)
        if whole is not None:
            file_start = _seconds(example, keys.ENCODED_START_MICROSECONDS)
            window = (0.0, None)
            if None not in (start, file_start) and start >= file_start:
                window = (start - file_start, None if end is None else end - file_start)
            return EmbeddedClip(whole, whole, name, begin, window)
        video = self._film(example, start)
        audio, remarks = self._sound(example)
        audio = audio or self._encoded(example, keys.ENCODED_AUDIO)
        if audio is None and first_key(example, keys.LOG_MEL):
            remarks = (MEL_REMARK,)
        if video is None and audio is None:
            known = sorted(example.keys)[:12]
            raise self.fault(
                f"The record holds neither pictures nor sound. Received: the keys {known}", "no_streams"
            )
        return EmbeddedClip(video, audio, name, begin, remarks=remarks)

    def _film(self, example: ParsedExample, start_seconds: float | None) -> MediaBytes | None:
        images = example.items(first_key(example, keys.FRAMES))
        if not images:
            return None
        stamps = example.integers(first_key(example, keys.FRAME_MICROSECONDS))
        if stamps:
            times = self._times(stamps, len(images), start_seconds)
        else:
            rate_hz = self._rate(example, keys.FRAME_RATE_HZ, self.frame_rate_hz, "pictures")
            times = [number / rate_hz for number in range(len(images) + 1)]
        return film_of(self.path, images, times)

    def _times(self, stamps: Sequence[int], num_images: int, start_seconds: float | None) -> list[float]:
        """When each picture is shown, in seconds from the clip's start, and when the last one is over."""
        if len(stamps) != num_images or any(late <= early for early, late in pairwise(stamps)):
            message = f"The times of the pictures must ascend, one for each. Received: {stamps[:8]}"
            raise self.fault(message, "bad_time")
        first = stamps[0] / 1e6
        origin = first if start_seconds is None or start_seconds > first else start_seconds
        last_gap = (stamps[-1] - stamps[0]) / (num_images - 1) if num_images > 1 else 1e6 / 25
        times = [stamp / 1e6 - origin for stamp in (*stamps, stamps[-1] + last_gap)]
        return [0.0, *times[1:]]  # the first is what is seen before it, too

    def _sound(self, example: ParsedExample) -> tuple[MediaBytes | None, tuple[str, ...]]:
        prefix = waveform_prefix(example)
        samples, remarks = repair_sound(example.floats(prefix + keys.FLOATS))
        if not samples.size:
            return None, ()
        channels = int(example.number(prefix + keys.NUM_CHANNELS) or 1)
        if not 1 <= channels <= DEFAULT_LIMITS.max_channels or samples.size % channels:
            message = f"{samples.size} samples cannot be those of {channels} channels."
            raise self.fault(message, "bad_record")
        if channels > 1:  # one moment after the other, as sound usually lies
            samples = samples.reshape(-1, channels).mean(axis=1)
        if not samples.any():
            remarks += (SILENT_REMARK,)
        rate_hz = self._rate(example, (prefix + keys.SAMPLE_RATE,), self.sample_rate_hz, "samples")
        return sound_file_of(self.path, samples.astype(np.float32), rate_hz), remarks

    def _rate(self, example: ParsedExample, names: Sequence[str], otherwise: float | None, of: str) -> float:
        said = example.number(first_key(example, names))
        rate_hz = otherwise if said is None else said
        if rate_hz is None or not 0 < rate_hz <= DEFAULT_LIMITS.max_sample_rate_hz or math.isnan(rate_hz):
            message = f"The record must say the rate of its {of}, under {names[0]!r}. Received: {rate_hz}"
            raise self.fault(message, "bad_record")
        return rate_hz

    def _encoded(self, example: ParsedExample, names: Sequence[str]) -> MediaBytes | None:
        items = example.items(first_key(example, names))
        return MediaBytes(f"{self.path} ({first_key(example, names)})", items[0]) if items else None


def first_key(example: ParsedExample, names: Sequence[str]) -> str:
    """The first of some keys that an example has; empty where it has none."""
    return next((name for name in names if name in example.keys), "")


def waveform_prefix(example: ParsedExample) -> str:
    """Under which prefix the samples are stored; where there are none, the usual one."""
    prefixes = sorted(key.removesuffix(keys.FLOATS) for key in example.keys if key.endswith(keys.FLOATS))
    if keys.WAVEFORM in prefixes:
        return keys.WAVEFORM
    for prefix in prefixes:
        if (example.number(prefix + keys.SAMPLE_RATE) or 0.0) >= keys.LOWEST_SAMPLE_RATE_HZ:
            return prefix
    return keys.WAVEFORM


def times_of(example: ParsedExample) -> tuple[float | None, float | None]:
    """Start and end of a clip in the file it was cut from, in seconds."""
    return _seconds(example, keys.START_MICROSECONDS), _seconds(example, keys.END_MICROSECONDS)


def media_name_of(example: ParsedExample) -> str:
    """What a record calls the file its clip was cut from; may be empty."""
    return next(iter(example.texts(first_key(example, keys.MEDIA_NAME))), "")


def _seconds(example: ParsedExample, names: Sequence[str]) -> float | None:
    number = example.number(first_key(example, names))
    return None if number is None else number / 1e6
