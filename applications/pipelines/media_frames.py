"""Every picture of a video, one after the other, in constant memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from zorro_keras.applications.pipelines.media_open import DEFAULT_LIMITS, Limits
from zorro_keras.applications.pipelines.media_picture import placement_of, scale_to
from zorro_keras.applications.pipelines.media_request import Request
from zorro_keras.applications.pipelines.media_video import timed_frames


def video_frames(
    path: str | Path, *, root: str | Path | None = None, limits: Limits = DEFAULT_LIMITS
) -> Iterator[np.ndarray]:
    """Yields each picture of a video as it is stored in time: none is left out, none shown twice.

    Args:
        path: str or Path. The file.
        root: optional folder the file must lie in.
        limits: Limits.

    Yields:
        uint8 `(Y, X, 3)`, RGB, upright, with square pixels, all of the first one's size.

    Raises:
        MediaError: whatever is wrong with the file, or if it has no pictures.
    """
    request = Request(path, ("video",), root=root, limits=limits)
    with request.open() as media:
        request.present_in(media)
        size = None
        for _, frame in timed_frames(media):
            if size is None:
                size = tuple(max(round(side), 1) for side in placement_of(media, frame).seen_size(frame))
            yield scale_to(media, frame, *size)
