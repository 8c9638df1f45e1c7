"""A window of a media file as a batch of one clip."""

from __future__ import annotations

from typing import Any

import numpy as np

from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.pipelines.media import Window


def window_batch(window: Window, clip: ClipGeometry) -> dict[str, Any]:
    """Returns what the preprocessor of a clip reads, with zeros for a stream that the window lacks.

    Flags say what is there, and not which arrays are given, so that one program serves all windows.

    Args:
        window: `Window` of the clip's geometry.
        clip: `ClipGeometry`.

    Returns:
        Dict with `audio`, float32 `(1, S)`, `video`, uint8 `(1, F, Y, X, 3)`, and `presence`, a dict of the
        same names to bool `(1,)`.
    """
    streams = {"audio": window.audio, "video": window.video}
    blanks = {
        "audio": np.zeros(clip.num_samples, np.float32),
        "video": np.zeros((clip.num_frames, clip.height_px, clip.width_px, 3), np.uint8),
    }
    batch = {name: (blanks[name] if array is None else array)[None] for name, array in streams.items()}
    return {**batch, "presence": {name: np.array([array is not None]) for name, array in streams.items()}}
