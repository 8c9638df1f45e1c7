"""Pearson and Spearman against their definitions, and against scipy where it is installed."""

import numpy as np
import pytest

from zorro_keras.metrics import pearson_correlation, spearman_correlation

rng = np.random.default_rng(11)
TRUE = rng.normal(size=89)
PREDICTED = np.round(TRUE**3 + rng.normal(size=89), 1)  # rounded, so that some are equal
BOTH = pytest.mark.parametrize("metric", [pearson_correlation, spearman_correlation])


def test_pearson_is_the_covariance_over_both_spreads():
    weight = rng.random(89)
    x, y = TRUE - np.average(TRUE, weights=weight), PREDICTED - np.average(PREDICTED, weights=weight)
    expected = (weight * x * y).sum() / np.sqrt((weight * x**2).sum() * (weight * y**2).sum())
    assert pearson_correlation(TRUE, PREDICTED, weight) == pytest.approx(expected, rel=1e-12)


def test_spearman_is_pearson_of_the_mean_ranks():
    def ranks(values):
        return [np.mean(np.flatnonzero(np.sort(values) == value)) for value in values]

    assert len({*PREDICTED}) < len(PREDICTED)
    expected = pearson_correlation(ranks(TRUE), ranks(PREDICTED))
    assert spearman_correlation(TRUE, PREDICTED) == pytest.approx(expected, rel=1e-12)
    assert spearman_correlation(TRUE, np.exp(TRUE)) == pytest.approx(1.0, rel=1e-12)
    assert pearson_correlation(TRUE, np.exp(TRUE)) < 0.99


def test_both_agree_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    for ours, theirs in ((pearson_correlation, stats.pearsonr), (spearman_correlation, stats.spearmanr)):
        assert ours(TRUE, PREDICTED) == pytest.approx(theirs(TRUE, PREDICTED).statistic, rel=1e-12)


@BOTH
def test_weights_equal_repeated_examples_and_zero_does_not_count(metric):
    repeats = np.arange(89) % 4
    expected = metric(np.repeat(TRUE, repeats), np.repeat(PREDICTED, repeats))
    assert metric(TRUE, PREDICTED, repeats) == pytest.approx(expected, rel=1e-12)
    assert metric(TRUE, PREDICTED) != pytest.approx(expected, rel=1e-3)
    assert np.isnan(metric(TRUE, PREDICTED, np.zeros(89)))


@BOTH
def test_numbers_of_any_size_keep_their_correlation(metric):
    expected = metric(TRUE, PREDICTED)
    for scale in (1e-200, 1e200):
        assert metric(TRUE * scale, -PREDICTED * scale) == pytest.approx(-expected, rel=1e-9)


@BOTH
def test_a_constant_series_has_no_correlation(metric):
    assert np.isnan(metric(TRUE, np.full(89, 0.1)))
    assert np.isnan(metric(np.full(89, 0.1), TRUE))
    assert np.isnan(metric([1.0], [2.0]))


@BOTH
def test_bad_arrays_are_refused(metric):
    with pytest.raises(ValueError, match=r"must both have shape \(B,\).*\(89,\) and \(89, 1\)"):
        metric(TRUE, PREDICTED[:, None])
    with pytest.raises(ValueError, match="`y_pred` must be finite"):
        metric(TRUE, np.where(TRUE > 0, np.inf, PREDICTED))
    with pytest.raises(ValueError, match="`sample_weight` must have shape"):
        metric(TRUE, PREDICTED, np.ones(3))
