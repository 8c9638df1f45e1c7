"""F1 and Matthews correlation against their definitions, counted example by example."""

import numpy as np
import pytest

from zorro_keras.metrics import f1_score, macro_f1_score, matthews_correlation

rng = np.random.default_rng(5)
CLASSES = rng.integers(3, size=97)
# Right more often than not, so that no figure is near 0.
SCORES = rng.normal(size=(97, 3)) + 1.5 * np.eye(3)[CLASSES]
WEIGHT = rng.random(97)


def counts(classes, scores, weight, positive):
    """Hits, false alarms, misses and correct rejections, one example at a time."""
    found = {"tp": 0.0, "fp": 0.0, "fn": 0.0, "tn": 0.0}
    for label, row, share in zip(classes, scores, weight, strict=True):
        is_it, said = label == positive, int(np.argmax(row)) == positive
        found[("t" if is_it == said else "f") + ("p" if said else "n")] += share
    return found


@pytest.mark.parametrize("positive", [0, 1, 2])
def test_f1_is_the_harmonic_mean_of_precision_and_recall(positive):
    found = counts(CLASSES, SCORES, WEIGHT, positive)
    precision = found["tp"] / (found["tp"] + found["fp"])
    recall = found["tp"] / (found["tp"] + found["fn"])
    expected = 2 * precision * recall / (precision + recall)
    assert f1_score(CLASSES, SCORES, WEIGHT, positive) == pytest.approx(expected, rel=1e-12)


def test_macro_f1_is_the_mean_over_the_classes_that_occur():
    expected = np.mean([f1_score(CLASSES, SCORES, WEIGHT, k) for k in range(3)])
    assert macro_f1_score(CLASSES, SCORES, WEIGHT) == pytest.approx(expected, rel=1e-12)
    wider = np.concatenate([SCORES, np.full((97, 1), -99.0)], axis=1)  # a fourth class that nobody names
    assert macro_f1_score(CLASSES, wider, WEIGHT) == pytest.approx(expected, rel=1e-12)


def test_matthews_correlation_of_two_classes_is_phi():
    classes, scores = (CLASSES > 0).astype(int), SCORES[:, :2]
    found = counts(classes, scores, WEIGHT, 1)
    tp, fp, fn, tn = (found[name] for name in ("tp", "fp", "fn", "tn"))
    expected = (tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert matthews_correlation(classes, scores, WEIGHT) == pytest.approx(expected, rel=1e-12)


def test_matthews_correlation_of_many_classes_is_the_correlation_of_one_hot_rows():
    """Gorodkin's covariance of two indicator matrices, written out class by class."""
    true, said = np.eye(3)[CLASSES], np.eye(3)[SCORES.argmax(axis=1)]

    def covariance(a, b):
        means = [np.average(x, axis=0, weights=WEIGHT) for x in (a, b)]
        return sum(
            np.average((a[:, k] - means[0][k]) * (b[:, k] - means[1][k]), weights=WEIGHT) for k in range(3)
        )

    expected = covariance(true, said) / np.sqrt(covariance(true, true) * covariance(said, said))
    assert matthews_correlation(CLASSES, SCORES, WEIGHT) == pytest.approx(expected, rel=1e-12)


def test_perfect_inverted_and_constant_answers():
    classes = np.array([0, 1, 1, 0, 1])
    right = np.eye(2)[classes]
    assert (matthews_correlation(classes, right), f1_score(classes, right)) == (1.0, 1.0)
    assert (matthews_correlation(classes, 1 - right), f1_score(classes, 1 - right)) == (-1.0, 0.0)
    always_one = np.tile([0.0, 1.0], (5, 1))
    assert matthews_correlation(classes, always_one) == 0.0
    assert f1_score(classes, always_one) == pytest.approx(2 * 3 / (3 + 5))
    assert f1_score(classes, always_one, positive=0) == 0.0
    thirds = np.full(5, 0.1)  # sums of such weights are rounded
    assert matthews_correlation(classes, always_one, thirds) == 0.0


@pytest.mark.parametrize("metric", [f1_score, macro_f1_score, matthews_correlation])
def test_weights_equal_repeated_rows_and_zero_does_not_count(metric):
    repeats = np.arange(97) % 4
    repeated = np.repeat(np.arange(97), repeats)
    expected = metric(CLASSES[repeated], SCORES[repeated])
    assert metric(CLASSES, SCORES, repeats) == pytest.approx(expected, rel=1e-12)
    assert metric(CLASSES, SCORES, repeats * 1e-200) == pytest.approx(expected, rel=1e-9)
    assert metric(CLASSES, SCORES) != pytest.approx(expected, rel=1e-3)
    assert np.isnan(metric(CLASSES, SCORES, np.zeros(97)))


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"`positive` must lie within \[0, 3\).*Received: positive=3"):
        f1_score(CLASSES, SCORES, positive=3)
    with pytest.raises(ValueError, match="must not hold NaN"):
        matthews_correlation(CLASSES, SCORES * np.nan)
