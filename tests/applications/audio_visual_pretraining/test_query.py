"""What is taken of the files that are asked with."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from zorro_keras.applications.audio_visual_pretraining.query import question_of
from zorro_keras.applications.pipelines.encode_mp4 import encode_mp4
from zorro_keras.applications.pipelines.faults import MediaError
from zorro_keras.applications.pipelines.geometry import ClipGeometry

CLIP = ClipGeometry(seconds=0.64, sample_rate_hz=8000, num_frames=4, height_px=8, width_px=12)
EMBEDDER = SimpleNamespace(geometry=CLIP, of_windows=lambda windows: [(window, window) for window in windows])


def write_film(path, sound_seconds):
    frames, tone = np.full((36, 24, 32, 3), 90, np.uint8), np.sin(np.arange(round(8000 * sound_seconds)) / 9)
    encode_mp4(str(path), frames, 12, 0.3 * tone[None].astype(np.float32), 8000)
    return path


def test_a_question_without_sound_in_its_middle_is_refused(tmp_path):
    """Its embedding would be NaN, and no clip like it."""
    short, whole = write_film(tmp_path / "short.mp4", 0.5), write_film(tmp_path / "whole.mp4", 3.0)
    assert question_of(EMBEDDER, {"audio": whole}).audio.any()
    assert question_of(EMBEDDER, {"video": short}).video.any()
    for files in ({"audio": short}, {"video": whole, "audio": short}):
        with pytest.raises(
            MediaError, match=r"has no audio in the middle of the file, from 1\.18 s"
        ) as caught:
            question_of(EMBEDDER, files)
        assert caught.value.reason == "no_audio" and caught.value.path == str(short)
