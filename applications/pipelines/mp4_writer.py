"""Writes an MP4 file bit by bit: H.264 and AAC, however long, in constant memory."""

from __future__ import annotations

import os
from fractions import Fraction
from types import TracebackType

import av
import numpy as np

# What AAC knows; sound at another rate is brought to the next one above.
_AAC_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_OPTIONS = {"fflags": "+bitexact"}  # no date and no library version in the container


class Mp4Writer:
    """An MP4 file that grows, as a context: left by an error, it leaves no file.

    Args:
        path: str or path. Written under a temporary name first, so a file that exists is a whole file.
        size_px: pair of int, height and width of the frames, even; `None` for a file without pictures.
        frame_rate_hz: frames a second: int, or float, of which the nearest fraction of a denominator up to
            1001 is taken.
        sample_rate_hz: int, samples a second; `None` for a file without sound.
        num_channels: int, 1 or 2.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        size_px: tuple[int, int] | None,
        frame_rate_hz: float,
        sample_rate_hz: int | None,
        num_channels: int = 1,
    ) -> None:
        self.path, self.temporary = os.fspath(path), f"{os.fspath(path)}.tmp"
        self.sample_rate_hz = sample_rate_hz
        self._num_samples = 0
        self._container = av.open(self.temporary, "w", format="mp4", options=_OPTIONS)
        self._picture = None if size_px is None else self._picture_stream(size_px, frame_rate_hz)
        self._sound = None if sample_rate_hz is None else self._sound_stream(num_channels)

    def write_frames(self, frames: np.ndarray) -> None:
        """Adds frames, uint8 `(F, Y, X, 3)`."""
        for pixels in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            self._container.mux(self._picture.encode(frame))

    def end_frames(self) -> None:
        """Says that no more frames come."""
        if self._picture is not None:
            self._container.mux(self._picture.encode(None))
            self._picture = None

    def write_audio(self, audio: np.ndarray) -> None:
        """Adds sound, float32 `(channels, S)` in [-1, 1]."""
        layout = self._sound.layout.name
        samples = np.ascontiguousarray(audio, dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
        frame.sample_rate = self.sample_rate_hz
        frame.pts, frame.time_base = self._num_samples, Fraction(1, self.sample_rate_hz)
        self._num_samples += samples.shape[1]
        self._container.mux(self._sound.encode(frame))

    def __enter__(self) -> Mp4Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.end_frames()
            if self._sound is not None and self._num_samples:
                self._container.mux(self._sound.encode(None))
        self._container.close()
        if kind is None:
            os.replace(self.temporary, self.path)
        else:
            os.remove(self.temporary)

    def _picture_stream(self, size_px: tuple[int, int], frame_rate_hz: float) -> av.VideoStream:
        rate = Fraction(frame_rate_hz).limit_denominator(1001)  # NTSC's 29.97 is 30000/1001
        picture = self._container.add_stream("libx264", rate=rate)
        picture.height, picture.width = size_px
        picture.pix_fmt = "yuv420p"
        picture.options = {"preset": "ultrafast", "crf": "23", "threads": "1"}
        return picture

    def _sound_stream(self, num_channels: int) -> av.AudioStream:
        rate = next((rate for rate in _AAC_RATES_HZ if rate >= self.sample_rate_hz), _AAC_RATES_HZ[-1])
        layout = "mono" if num_channels == 1 else "stereo"
        sound = self._container.add_stream("aac", rate=rate, layout=layout)
        sound.bit_rate = 48_000 * num_channels
        sound.options = {"aac_coder": "fast"}
        return sound
