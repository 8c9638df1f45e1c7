"""Windows: sound and picture of the same moment."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from zorro_keras.applications.pipelines.geometry import ClipGeometry  # noqa: E402
from zorro_keras.applications.pipelines.windows import (  # noqa: E402
    cut_audio,
    frame_indices,
    window_start_seconds,
)

GEOMETRY = ClipGeometry(seconds=2.0, sample_rate_hz=100, num_frames=5, height_px=3, width_px=7)


@pytest.mark.parametrize(
    ("fraction", "duration", "expected"), [(0.0, 5.0, 0.0), (0.5, 5.0, 1.5), (1.0, 5.0, 3.0), (0.7, 1.0, 0.0)]
)
def test_a_window_starts_within_the_clip(fraction, duration, expected):
    start = window_start_seconds(tf.constant(fraction), tf.constant(duration), GEOMETRY)
    assert float(start) == pytest.approx(expected)


def test_sound_is_cut_and_filled_with_silence():
    audio = np.arange(1, 301, dtype=np.float32)
    np.testing.assert_array_equal(cut_audio(audio, 0.5, GEOMETRY), audio[50:250])
    late = cut_audio(audio, 2.0, GEOMETRY).numpy()
    np.testing.assert_array_equal(late[:100], audio[200:])
    assert not late[100:].any()
    assert not cut_audio(np.zeros(0, np.float32), 0.0, GEOMETRY).numpy().any()


def test_frames_are_the_ones_nearest_in_time():
    # Times asked for: 0.2, 0.6, 1.0, 1.4, 1.8 s after the start.
    assert frame_indices(50, 10.0, 0.0, GEOMETRY).numpy().tolist() == [2, 6, 10, 14, 18]
    assert frame_indices(50, 10.0, 1.0, GEOMETRY).numpy().tolist() == [12, 16, 20, 24, 28]
    assert frame_indices(50, 25.0, 0.0, GEOMETRY).numpy().tolist() == [5, 15, 25, 35, 45]
    assert frame_indices(50, 9.0, 0.0, GEOMETRY).numpy().tolist() == [1, 5, 9, 12, 16]


def test_the_last_frame_repeats_where_the_clip_is_over():
    assert frame_indices(8, 10.0, 0.0, GEOMETRY).numpy().tolist() == [2, 6, 7, 7, 7]
    assert frame_indices(1, 10.0, 0.0, GEOMETRY).numpy().tolist() == [0] * 5


def test_windows_are_the_same_inside_a_dataset():
    audio = tf.range(400, dtype=tf.float32)
    starts = tf.data.Dataset.from_tensor_slices(tf.constant([0.0, 0.33, 2.9]))

    def cut_at(start):
        return cut_audio(audio, start, GEOMETRY), frame_indices(30, 9.0, start, GEOMETRY)

    for start, (sound, frames) in zip((0.0, 0.33, 2.9), starts.map(cut_at), strict=True):
        np.testing.assert_array_equal(sound, cut_audio(audio, start, GEOMETRY))
        np.testing.assert_array_equal(frames, frame_indices(30, 9.0, start, GEOMETRY))
