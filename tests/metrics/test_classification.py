import numpy as np
import pytest

from zorro_keras.metrics import accuracy, classification_summary, confusion_matrix, top_k_accuracy

SCORES = np.array([[0.1, 0.7, 0.2], [0.5, 0.1, 0.4], [0.2, 0.3, 0.5], [0.9, 0.05, 0.05], [0.3, 0.3, 0.4]])
CLASSES = np.array([1, 2, 2, 0, 0])


def test_accuracy_is_the_share_of_highest_scores_that_hit():
    assert accuracy(CLASSES, SCORES) == 3 / 5


def test_one_hot_and_integer_labels_agree():
    assert accuracy(np.eye(3)[CLASSES], SCORES) == accuracy(CLASSES, SCORES)
    np.testing.assert_array_equal(
        confusion_matrix(np.eye(3)[CLASSES], SCORES), confusion_matrix(CLASSES, SCORES)
    )


def test_top_k_counts_a_label_among_the_k_highest():
    assert top_k_accuracy(CLASSES, SCORES, 1) == 3 / 5
    assert top_k_accuracy(CLASSES, SCORES, 2) == 5 / 5  # the tie in the last row goes to class 0
    assert top_k_accuracy(np.array([1, 2, 2, 0, 1]), SCORES, 2) == 4 / 5
    assert top_k_accuracy(CLASSES, SCORES, 17) == 1.0


def test_examples_of_weight_zero_do_not_count():
    weight = np.array([1.0, 0.0, 1.0, 1.0, 0.0])
    assert accuracy(CLASSES, SCORES, weight) == 1.0
    assert accuracy(CLASSES, SCORES, 1.0 - weight) == 0.0
    assert np.isnan(accuracy(CLASSES, SCORES, np.zeros(5)))


def test_weights_equal_repeated_rows():
    repeats = np.array([1, 3, 2, 0, 5])
    repeated = np.repeat(np.arange(5), repeats)
    assert accuracy(CLASSES, SCORES, repeats) == accuracy(CLASSES[repeated], SCORES[repeated])
    np.testing.assert_array_equal(
        confusion_matrix(CLASSES, SCORES, repeats), confusion_matrix(CLASSES[repeated], SCORES[repeated])
    )


def test_confusion_matrix_has_true_classes_as_rows():
    np.testing.assert_array_equal(confusion_matrix(CLASSES, SCORES), [[1, 0, 1], [0, 1, 0], [1, 0, 1]])


def test_the_diagonal_of_the_confusion_matrix_is_the_accuracy():
    rng = np.random.default_rng(0)
    scores, classes, weight = rng.normal(size=(101, 7)), rng.integers(7, size=101), rng.random(101)
    matrix = confusion_matrix(classes, scores, weight)
    assert np.trace(matrix) / matrix.sum() == pytest.approx(accuracy(classes, scores, weight), rel=1e-12)


def test_a_summary_leaves_accuracy_out_for_several_labels():
    single = classification_summary(np.eye(3)[CLASSES], SCORES, multi_label=False)
    several = classification_summary(np.eye(3)[CLASSES], SCORES, multi_label=True)
    assert set(single) - set(several) == {"accuracy", "top_5_accuracy"}
    assert single["accuracy"] == 3 / 5
    assert several["mean_average_precision"] == single["mean_average_precision"]


@pytest.mark.parametrize(
    ("labels", "scores", "weight", "message"),
    [
        (np.array([1, 2, 3, 0, 0]), SCORES, None, r"within \[0, 3\). Received: 3"),
        (np.array([1, 2, -1, 0, 0]), SCORES, None, r"within \[0, 3\). Received: -1"),
        (CLASSES * 1.7, SCORES, None, "dtype float64"),
        (np.ones((5, 3)), SCORES, None, "must be one-hot"),
        (CLASSES[:4], SCORES, None, r"shape \(4,\)"),
        (CLASSES, np.where(SCORES == 0.7, np.nan, SCORES), None, "NaN in 1 rows"),
        (CLASSES, SCORES[0], None, r"shape \(3,\)"),
        (CLASSES, SCORES, np.ones(4), r"`sample_weight` must have shape \(5,\)"),
        (CLASSES, SCORES, -np.ones(5), "at least 0"),
    ],
)
def test_nonsense_is_refused(labels, scores, weight, message):
    with pytest.raises(ValueError, match=message):
        accuracy(labels, scores, weight)
    assert accuracy(CLASSES, SCORES) > 0


def test_k_below_one_is_refused():
    with pytest.raises(ValueError, match="Received: k=0"):
        top_k_accuracy(CLASSES, SCORES, 0)
