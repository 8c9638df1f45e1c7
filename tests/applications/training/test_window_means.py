"""Several windows of a clip count as one answer."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

pytest.importorskip("tensorflow")

from zorro_keras.applications.audio_visual_classification.model import epoch_metrics
from zorro_keras.applications.training.callbacks import Validation
from zorro_keras.applications.training.subset_scores import score_subsets
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


# Clip "a" has sound in its first window alone, "b" in its last one, "c" nowhere; "d" has no pictures.
SHORT_IDS = ["a", "a", "a", "b", "b", "c", "c", "d"]
PRESENCE = {
    "audio": np.array([1, 0, 0, 0, 1, 0, 0, 1], bool),
    "video": np.array([1, 1, 1, 1, 1, 1, 1, 0], bool),
}
SAID = np.array([[1], [2], [6], [4], [8], [3], [5], [7]], "float32")


def test_a_window_without_what_a_head_reads_counts_only_where_no_other_is():
    answers = {"audio": SAID, "video": SAID, "fusion": SAID}
    means, _, weight = mean_over_windows(answers, SAID, np.ones(8), SHORT_IDS, PRESENCE)
    assert means["audio"].ravel().tolist() == [1, 8, 4, 7]
    assert means["video"].ravel().tolist() == means["fusion"].ravel().tolist() == [3, 6, 4, 7]
    np.testing.assert_array_equal(weight, 1)
    found = epoch_metrics({"audio": SAID}, np.ones_like(SAID), np.ones(8), SHORT_IDS, PRESENCE)
    assert found["audio_mean_average_precision"] == 1.0


@pytest.mark.parametrize("size", [1, 3, 8])
def test_evaluation_counts_the_windows_that_prediction_does(monkeypatch, size):
    """In whatever batches they come."""
    task = SimpleNamespace(heads=("audio", "video", "fusion"))

    def answers(task, x):
        return {head: x["audio"] for head in task.heads if head == "fusion" or head in x["presence"]}

    monkeypatch.setattr(keras.Model, "predict_on_batch", answers)
    batches = []
    for start in range(0, 8, size):
        rows = slice(start, start + size)
        x = {"audio": SAID[rows], "video": SAID[rows]}
        x["presence"] = {name: flags[rows] for name, flags in PRESENCE.items()}
        batches.append((x, np.ones_like(SAID[rows]), np.ones(len(SAID[rows]))))
    scores = score_subsets(task, batches, SHORT_IDS, [("audio",), ("audio", "video")])
    alone, both = scores.logits[("audio",)], scores.logits[("audio", "video")]
    assert alone["audio"].ravel().tolist() == alone["fusion"].ravel().tolist() == [1, 8, 4, 7]
    assert both["audio"].ravel().tolist() == [1, 8, 4, 7]
    assert both["fusion"].ravel().tolist() == both["video"].ravel().tolist() == [3, 6, 4, 7]


def test_validation_tells_figures_of_a_whole_split_what_was_there():
    x = {"audio": SAID, "presence": PRESENCE}
    data = SimpleNamespace(cardinality=lambda: 2, as_numpy_iterator=lambda: iter([(x, SAID, np.ones(8))] * 2))

    def figures(predictions, y, sample_weight, presence=None):
        return {"sounds": float(presence["audio"].sum()), "rows": len(predictions["audio"])}

    validation = Validation(data, 1, 1, figures)
    validation._ask = lambda x: {"audio": x["audio"]}
    assert validation._epoch_values(figures) == {"sounds": 6.0, "rows": 16}
