"""Writes pictures and sound as a real MP4 file: H.264 and AAC, the same bytes for the same input."""

import os
from collections.abc import Iterable
from fractions import Fraction
from itertools import chain

import av
import numpy as np


def encode_mp4(
    path: str,
    video: Iterable[np.ndarray],
    frame_rate_hz: int,
    audio: np.ndarray | None,
    sample_rate_hz: int | None,
) -> None:
    """Writes one clip to `path`.

    Args:
        path: str. Written under a temporary name first, then renamed, so a file that exists is a whole file.
        video: uint8 array `(F, Y, X, 3)`, even height and width; or its frames one by one, at least one.
        frame_rate_hz: int. Frames a second.
        audio: float32 array `(C, S)` of one or two channels in [-1, 1], or `None` for a file without a sound
            track.
        sample_rate_hz: int or `None`. Samples a second; `None` exactly when `audio` is.
    """
    temporary = f"{path}.tmp"
    frames = iter(video)
    first = next(frames)
    options = {"fflags": "+bitexact"}  # no date and no library version in the container
    with av.open(temporary, "w", format="mp4", options=options) as container:
        picture = container.add_stream("libx264", rate=frame_rate_hz)
        picture.width, picture.height, picture.pix_fmt = first.shape[1], first.shape[0], "yuv420p"
        picture.options = {"preset": "ultrafast", "crf": "23", "threads": "1"}
        sound = None
        if audio is not None:
            sound = container.add_stream(
                "aac", rate=sample_rate_hz, layout="mono" if len(audio) == 1 else "stereo"
            )
            sound.bit_rate = 48_000 * len(audio)
            sound.options = {"aac_coder": "fast"}
        for pixels in chain([first], frames):
            container.mux(picture.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(picture.encode(None))
        if sound is not None:
            _encode_sound(container, sound, audio, sample_rate_hz)
    os.replace(temporary, path)


def _encode_sound(
    container: av.container.OutputContainer, stream: av.AudioStream, audio: np.ndarray, sample_rate_hz: int
) -> None:
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(audio, dtype=np.float32), format="fltp", layout=stream.layout.name
    )
    frame.sample_rate = sample_rate_hz
    frame.pts, frame.time_base = 0, Fraction(1, sample_rate_hz)
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
