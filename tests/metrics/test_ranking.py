"""Every metric against its definition, written out with loops."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zorro_keras.metrics import average_precision, d_prime, mean_average_precision, mean_roc_auc, roc_auc


def precision_recall_area(targets, scores, weight):
    """Walks down the distinct thresholds: precision at each, times the recall won there."""
    area, recall_before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        chosen = scores >= threshold
        precision = weight[chosen & targets].sum() / weight[chosen].sum()
        recall = weight[chosen & targets].sum() / weight[targets].sum()
        area, recall_before = area + precision * (recall - recall_before), recall
    return area


def share_of_ordered_pairs(targets, scores, weight):
    """Compares every positive with every negative."""
    won = total = 0.0
    for i, j in product(np.flatnonzero(targets), np.flatnonzero(~targets)):
        pair = weight[i] * weight[j]
        total += pair
        won += pair * (1.0 if scores[i] > scores[j] else 0.5 if scores[i] == scores[j] else 0.0)
    return won / total


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), batch=st.integers(2, 23), levels=st.integers(1, 9))
def test_both_areas_follow_their_definitions_with_ties_and_weights(seed, batch, levels):
    rng = np.random.default_rng(seed)
    scores = rng.integers(levels, size=(batch, 3)).astype(float)
    targets = rng.random((batch, 3)) < 0.4
    weight = rng.uniform(0.1, 2.0, size=batch)
    precision, area = average_precision(targets, scores, weight), roc_auc(targets, scores, weight)
    for k in range(3):
        if targets[:, k].any():
            expected = precision_recall_area(targets[:, k], scores[:, k], weight)
            assert precision[k] == pytest.approx(expected, rel=1e-12)
        else:
            assert math.isnan(precision[k])
        if targets[:, k].any() and not targets[:, k].all():
            assert area[k] == pytest.approx(
                share_of_ordered_pairs(targets[:, k], scores[:, k], weight), rel=1e-12
            )
        else:
            assert math.isnan(area[k])


def test_average_precision_of_a_worked_example():
    # Ranked: + - + -, so the precisions at the positives are 1 and 2/3.
    assert average_precision([[1], [0], [1], [0]], [[0.9], [0.8], [0.7], [0.6]])[0] == pytest.approx(5 / 6)


def test_perfect_and_inverted_rankings_are_the_extremes():
    targets, scores = np.array([[0], [0], [1], [1]]), np.array([[0.1], [0.2], [0.3], [0.4]])
    assert average_precision(targets, scores)[0] == roc_auc(targets, scores)[0] == 1.0
    assert roc_auc(targets, -scores)[0] == 0.0


def test_equal_scores_make_the_order_of_rows_irrelevant():
    targets = np.array([[1], [0], [0], [1]])
    for order in ([0, 1, 2, 3], [1, 2, 0, 3], [3, 2, 1, 0]):
        assert average_precision(targets[order], np.ones((4, 1)))[0] == 0.5
        assert roc_auc(targets[order], np.ones((4, 1)))[0] == 0.5


def test_infinite_scores_that_tie_count_as_a_tie():
    targets, scores = np.array([[1], [0], [1]]), np.array([[-np.inf], [-np.inf], [np.inf]])
    assert roc_auc(targets, scores)[0] == 0.75


def test_rows_of_weight_zero_change_nothing_even_as_the_only_positives():
    targets, scores = np.array([[1, 0], [0, 1], [1, 1]]), np.array([[3.0, 1.0], [2.0, 2.0], [1.0, 3.0]])
    weight = np.array([1.0, 1.0, 0.0])
    np.testing.assert_array_equal(
        average_precision(targets, scores, weight), average_precision(targets[:2], scores[:2])
    )
    assert np.isnan(roc_auc(targets[:2], scores[:2], [0.0, 1.0])).all()


def test_means_run_over_the_classes_that_are_defined():
    targets, scores = np.array([[1, 0], [0, 0], [1, 0]]), np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    assert mean_average_precision(targets, scores) == average_precision(targets, scores)[0]
    assert mean_roc_auc(targets, scores) == 0.5
    assert math.isnan(mean_roc_auc(np.zeros((3, 2)), scores))


def test_d_prime_inverts_the_normal_distribution():
    assert d_prime(0.5) == 0.0
    # AudioSet's baseline is usually printed as an area of 0.959 and a d-prime of 2.452, both rounded.
    assert d_prime(0.959) == pytest.approx(2.452, abs=0.01)
    for value in (0.3, 1.0, 2.5):
        area = 0.5 * (1 + math.erf(value / 2))  # P(N(value, 1) > N(0, 1))
        assert d_prime(area) == pytest.approx(value, rel=1e-9)
    assert d_prime(1.0) == math.inf and d_prime(0.0) == -math.inf and math.isnan(d_prime(math.nan))


@pytest.mark.parametrize(
    ("targets", "scores", "message"),
    [
        ([[1.0], [0.5]], [[1.0], [2.0]], "must hold 0 and 1 only"),
        ([[1], [0]], [[1.0], [np.nan]], "must not hold NaN"),
        ([1, 0], [[1.0], [2.0]], r"must have the shape of `y_pred`"),
    ],
)
def test_nonsense_is_refused(targets, scores, message):
    for metric in (average_precision, roc_auc):
        with pytest.raises(ValueError, match=message):
            metric(targets, scores)
        assert metric([[1], [0]], [[2.0], [1.0]])[0] == 1.0


def test_an_area_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="Received: auc=1.2"):
        d_prime(1.2)
