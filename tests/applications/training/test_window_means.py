"""Several windows of a clip count as one answer."""

import numpy as np

from zorro_keras.applications.audio_visual_classification.model import epoch_metrics
from zorro_keras.applications.training.window_means import mean_over_windows

LOGITS = np.array([[1, 5], [3, 1], [7, 2], [4, 4], [9, 9], [8, 8]], "float32")
LABELS = np.array([[0, 1], [0, 1], [1, 0], [1, 1], [0, 0], [1, 0]], "float32")
WEIGHT = np.array([1, 1, 1, 0, 0, 0], "float32")  # of "b" one window is bad, "c" is; the last row is padding
IDS = ["a", "a", "b", "b", "c"]


def test_windows_of_weight_zero_and_padding_count_for_nothing():
    means, labels, weight = mean_over_windows({"label": LOGITS}, LABELS, WEIGHT, IDS)
    np.testing.assert_array_equal(means["label"][:2], [[2, 3], [7, 2]])
    np.testing.assert_array_equal(labels[:2], [[0, 1], [1, 0]])
    np.testing.assert_array_equal(weight, [1, 1, 0])


def test_one_window_a_clip_changes_no_number():
    means, labels, weight = mean_over_windows({"label": LOGITS}, LABELS, np.ones(6), list("abcdef"))
    np.testing.assert_array_equal(means["label"], LOGITS)
    np.testing.assert_array_equal(labels, LABELS)
    np.testing.assert_array_equal(weight, np.ones(6))


def test_validation_measures_clips_and_not_windows():
    random = np.random.default_rng(0)
    logits = random.normal(size=(4, 3, 5)).astype("float32")  # 4 clips of 3 windows
    labels = np.repeat(np.eye(5, dtype="float32")[[0, 1, 2, 0]], 3, axis=0)
    ids = [clip for clip in "abcd" for _ in range(3)]
    found = epoch_metrics({"label": logits.reshape(12, 5)}, labels, np.ones(12), window_ids=ids)
    expected = epoch_metrics({"label": logits.mean(axis=1)}, labels[::3], np.ones(4))
    windows = epoch_metrics({"label": logits.reshape(12, 5)}, labels, np.ones(12))
    np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=1e-6)
    assert found != windows
