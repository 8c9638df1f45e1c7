"""The sound of a container, decoded block by block and checked."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import av
import numpy as np

from zorro_keras.applications.pipelines.media_decode import check_not_cut, decoded_frames
from zorro_keras.applications.pipelines.media_open import OpenMedia, faults_of
from zorro_keras.applications.pipelines.media_timeline import GAP_SECONDS, mix_down, place_blocks

# Decoders and the resampler need a little sound before the first sample that counts.
_WARM_UP_SECONDS = 0.25
# Frames are handled many at a time: Python's price per call would exceed that of decoding.
_BLOCK_SAMPLES = 32768


def resampled_blocks(
    media: OpenMedia, *, sample_rate_hz: int, start_seconds: float = 0.0
) -> Iterator[tuple[int, np.ndarray]]:
    """The sound of a container from a little before a time to its end, in constant memory.

    Args:
        media: OpenMedia with an audio stream.
        sample_rate_hz: int. Sample rate wanted.
        start_seconds: float. Where to start.

    Yields:
        (index, samples): float32 mono samples, and the index of the first one on the timeline where sample 0
        is at 0 seconds. Blocks come in order; between two of them there may be a gap.

    Raises:
        MediaError: `corrupt`, `truncated`, `non_finite`, `unsupported_codec`.
    """
    return place_blocks(_mono_blocks(media, start_seconds), sample_rate_hz)


def _mono_blocks(media: OpenMedia, start_seconds: float) -> Iterator[tuple[float, np.ndarray, int]]:
    """Yields (seconds, mono float32 samples, sample rate), many decoded frames at a time."""
    gathered, num_gathered, first_seconds, end_seconds, rate_hz = [], 0, 0.0, None, 0
    frames = decoded_frames(
        media, media.audio, "decode_audio", start_seconds=start_seconds - _WARM_UP_SECONDS
    )
    for frame in frames:
        seconds = (end_seconds or 0.0) if frame.time is None else frame.time - media.origin_seconds
        follows = end_seconds is not None and abs(seconds - end_seconds) < GAP_SECONDS
        if gathered and (num_gathered >= _BLOCK_SAMPLES or frame.sample_rate != rate_hz or not follows):
            yield first_seconds, _mix(media, gathered), rate_hz
            gathered, num_gathered = [], 0
        if not gathered:
            first_seconds, rate_hz = seconds, frame.sample_rate
        gathered.append(frame)
        num_gathered += frame.samples
        end_seconds = seconds + frame.samples / frame.sample_rate
    if gathered:
        yield first_seconds, _mix(media, gathered), rate_hz
    check_not_cut(media, media.audio, end_seconds, "decode_audio")


def _mix(media: OpenMedia, frames: list[av.AudioFrame]) -> np.ndarray:
    """The frames as one mono float32 `(S,)`. The number of channels may change in between."""
    with faults_of(media.path, "decode_audio"):
        layouts = groupby(frames, key=lambda frame: frame.layout.nb_channels)
        parts = [np.concatenate([_planar(frame) for frame in group], axis=1) for _, group in layouts]
        samples = np.concatenate([mix_down(part) for part in parts])
    if not np.isfinite(samples).all():
        raise media.fault("The sound holds NaN or infinity.", "non_finite", "decode_audio")
    return samples


def _planar(frame: av.AudioFrame) -> np.ndarray:
    """The samples of a frame as `(C, S)`."""
    samples = frame.to_ndarray()
    return samples if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels).T
