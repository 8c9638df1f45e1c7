"""Mono sound on a timeline: mixed down, resampled without a delay, placed by time, cut into windows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import av
import numpy as np

# Timestamps are rounded, in Matroska to a millisecond. A larger step is a gap in the sound.
GAP_SECONDS = 0.1
_LARGEST_BLOCK = 65536


def mix_down(samples: np.ndarray) -> np.ndarray:
    """The mean over channels, `(C, S)` to float32 `(S,)`. Integers are scaled to [-1, 1)."""
    if samples.dtype == np.uint8:
        samples = (samples.astype(np.float32) - 128.0) / 128.0
    elif samples.dtype.kind == "i":
        samples = samples.astype(np.float32) / -float(np.iinfo(samples.dtype).min)
    mixed = samples[0] if len(samples) == 1 else samples.mean(axis=0)
    return mixed.astype(np.float32, copy=False)


class MonoResampler:
    """Changes the sample rate of mono sound, block by block, without a delay.

    Args:
        from_hz: int. Sample rate that comes in.
        to_hz: int. Sample rate that goes out.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self.from_hz = from_hz
        self.to_hz = to_hz
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=to_hz)
        self._num_pushed = 0

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Takes float32 `(S,)`, returns the float32 samples that are ready, possibly none."""
        if self.from_hz == self.to_hz or not len(samples):
            return samples
        blocks = []
        for first in range(0, len(samples), _LARGEST_BLOCK):
            block = np.ascontiguousarray(samples[None, first : first + _LARGEST_BLOCK])
            frame = av.AudioFrame.from_ndarray(block, format="flt", layout="mono")
            frame.sample_rate = self.from_hz
            frame.pts = self._num_pushed
            self._num_pushed += block.shape[1]
            blocks += self._resampler.resample(frame)
        return _join(blocks)

    def flush(self) -> np.ndarray:
        """Returns the samples still held back. Nothing may be pushed afterwards."""
        if self.from_hz == self.to_hz or not self._num_pushed:
            return np.zeros(0, np.float32)
        return _join(self._resampler.resample(None))


def resample(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Changes the sample rate of a whole mono sound.

    Args:
        samples: float32 `(S,)`.
        from_hz: int. Its sample rate.
        to_hz: int. The sample rate wanted.

    Returns:
        float32 array of `round(S * to_hz / from_hz)` samples, give or take one.
    """
    resampler = MonoResampler(from_hz, to_hz)
    return np.concatenate([resampler.push(np.asarray(samples, np.float32)), resampler.flush()])


def place_blocks(
    blocks: Iterable[tuple[float, np.ndarray, int]], sample_rate_hz: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Resamples blocks of (seconds, mono samples, sample rate) and places them on a timeline of samples."""
    resampler, index, expected_seconds = None, 0, 0.0
    for seconds, samples, rate_hz in blocks:
        is_new = resampler is None or resampler.from_hz != rate_hz
        if is_new or abs(seconds - expected_seconds) > GAP_SECONDS:
            if resampler is not None:
                yield index, resampler.flush()
            resampler = MonoResampler(rate_hz, sample_rate_hz)
            index, expected_seconds = round(seconds * sample_rate_hz), seconds
        ready = resampler.push(samples)
        yield index, ready
        index += len(ready)
        expected_seconds += len(samples) / rate_hz
    if resampler is not None:
        yield index, resampler.flush()


def fill_window(blocks: Iterable[tuple[int, np.ndarray]], first: int, num_samples: int) -> np.ndarray | None:
    """Copies blocks into one window of the timeline and stops reading once it is full.

    Args:
        blocks: (index, samples) in order, as `resampled_blocks` yields them.
        first: int. Index of the first sample of the window.
        num_samples: int. Length of the window.

    Returns:
        float32 `(num_samples,)`, zero where there is no sound; None if there is no sound in all of the
        window.
    """
    window, is_heard = np.zeros(num_samples, np.float32), False
    for index, samples in blocks:
        begin, end = max(index, first), min(index + len(samples), first + num_samples)
        if begin < end:
            window[begin - first : end - first] = samples[begin - index : end - index]
            is_heard = True
        if index + len(samples) >= first + num_samples:
            break
    return window if is_heard else None


def sliding_windows(
    blocks: Iterable[tuple[int, np.ndarray]], firsts: Iterable[int], num_samples: int
) -> Iterator[np.ndarray | None]:
    """Cuts a timeline into windows that may overlap, keeping no more than one window of sound.

    Args:
        blocks: (index, samples) in order, as `place_blocks` yields them.
        firsts: ascending indices of the first samples of the windows.
        num_samples: int. Length of a window.

    Yields:
        For each window what `fill_window` returns.
    """
    blocks, kept, end = iter(blocks), deque(), -1
    for first in firsts:
        while end < first + num_samples:
            block = next(blocks, None)
            if block is None:
                break
            kept.append(block)
            end = block[0] + len(block[1])
        while kept and kept[0][0] + len(kept[0][1]) <= first:
            kept.popleft()
        yield fill_window(kept, first, num_samples)


def _join(frames: list[av.AudioFrame]) -> np.ndarray:
    """The samples of mono float frames as one float32 `(S,)`."""
    if not frames:
        return np.zeros(0, np.float32)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])
