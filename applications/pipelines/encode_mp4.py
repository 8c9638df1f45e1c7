"""Writes pictures and sound as a real MP4 file: H.264 and AAC, the same bytes for the same input."""

from collections.abc import Iterable
from itertools import chain

import numpy as np

from zorro_keras.applications.pipelines.mp4_writer import Mp4Writer


def encode_mp4(
    path: str,
    video: Iterable[np.ndarray],
    frame_rate_hz: float,
    audio: np.ndarray | None,
    sample_rate_hz: int | None,
) -> None:
    """Writes one clip to `path`.

    Args:
        path: str. Written under a temporary name first, then renamed, so a file that exists is a whole file.
        video: uint8 array `(F, Y, X, 3)`, even height and width; or its frames one by one, at least one.
        frame_rate_hz: number > 0. Frames a second, as `Mp4Writer` takes them.
        audio: float32 array `(C, S)` of one or two channels in [-1, 1], or `None` for a file without a sound
            track.
        sample_rate_hz: int or `None`. Samples a second; `None` exactly when `audio` is.
    """
    frames = iter(video)
    first = next(frames)
    num_channels = 1 if audio is None else len(audio)
    with Mp4Writer(path, first.shape[:2], frame_rate_hz, sample_rate_hz, num_channels) as writer:
        for pixels in chain([first], frames):
            writer.write_frames(pixels[None])
        writer.end_frames()
        if audio is not None:
            writer.write_audio(audio)
