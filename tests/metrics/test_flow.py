"""Metrics of optical flow against loops that follow their definitions pixel by pixel."""

import math

import numpy as np
import pytest

from zorro_keras.metrics import end_point_error, end_point_errors, fl_all, flow_regions


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    true = rng.normal(0, 25, (3, 5, 7, 2))
    return true, true + rng.normal(0, 3, true.shape), rng.random((3, 5, 7)) < 0.6


def by_hand(true, predicted, mask):
    """Errors and whether each is an outlier, of the pixels that count."""
    errors, outliers = [], []
    for place in np.ndindex(mask.shape):
        if mask[place]:
            (u, v), (p, q) = true[place], predicted[place]
            error = math.sqrt((u - p) ** 2 + (v - q) ** 2)
            errors.append(error)
            outliers.append(error > 3 and error / math.sqrt(u * u + v * v) > 0.05)
    return np.array(errors), np.array(outliers)


def test_errors_and_outliers_follow_their_definitions(case):
    true, predicted, mask = case
    errors, outliers = by_hand(true, predicted, mask)
    assert end_point_error(true, predicted, mask) == pytest.approx(errors.mean(), rel=1e-12)
    assert 0.2 < outliers.mean() < 0.9
    assert fl_all(true, predicted, mask) == outliers.mean()
    np.testing.assert_allclose(end_point_errors(true, predicted)[mask], errors, rtol=1e-12)
    everything = np.ones_like(mask)
    assert end_point_error(true, predicted) == end_point_error(true, predicted, everything)


def test_an_outlier_needs_both_bounds():
    true = np.array([[100.0, 0], [100, 0], [10, 0], [10, 0]])
    off = np.array([[4.9, 0], [5.1, 0], [2.9, 0], [3.1, 0]])  # 5 % of 100 px are 5 px
    assert fl_all(true, true + off) == 0.5
    assert fl_all(true[[0, 2]], (true + off)[[0, 2]]) == 0.0
    assert fl_all(np.zeros((1, 2)), np.array([[3.0, 0.0]])) == 0.0  # 3 px exactly are no outlier


def test_regions_part_the_pixels_that_count(case):
    true, _, mask = case
    matched = np.random.default_rng(1).random(mask.shape) < 0.5
    regions = flow_regions(true, mask, matched)
    assert list(regions) == ["all", "s0_10", "s10_40", "s40_plus", "matched", "unmatched"]
    np.testing.assert_array_equal(regions["all"], mask)
    speeds = sum(regions[name].astype(int) for name in ("s0_10", "s10_40", "s40_plus"))
    np.testing.assert_array_equal(speeds, mask.astype(int))
    seen = regions["matched"].astype(int) + regions["unmatched"].astype(int)
    np.testing.assert_array_equal(seen, mask.astype(int))
    speed = np.sqrt((true**2).sum(-1))
    np.testing.assert_array_equal(regions["s10_40"], mask & (speed >= 10) & (speed < 40))
    assert "matched" not in flow_regions(true, mask)
    edges = flow_regions(np.array([[10.0, 0], [0, 40]]))
    assert [edges[name].tolist() for name in ("s10_40", "s40_plus")] == [[True, False], [False, True]]


def test_what_does_not_count_may_be_anything(case):
    true, predicted, mask = case
    spoiled = np.where(mask[..., None], true, np.nan)
    assert end_point_error(spoiled, predicted, mask) == end_point_error(true, predicted, mask)
    assert fl_all(spoiled, predicted, mask) == fl_all(true, predicted, mask)
    assert math.isnan(end_point_error(true, predicted, np.zeros_like(mask)))
    assert math.isnan(fl_all(true, predicted, np.zeros_like(mask)))


def test_what_cannot_be_measured_is_refused(case):
    true, predicted, mask = case
    with pytest.raises(
        ValueError, match=r"shape \(..., 2\). Received: shapes \(3, 5, 7, 2\) and \(3, 5, 6, 2\)"
    ):
        end_point_error(true, predicted[:, :, :6])
    with pytest.raises(ValueError, match=r"`mask` must be bool of shape \(3, 5, 7\). Received: int"):
        fl_all(true, predicted, mask.astype(int))
    with pytest.raises(ValueError, match="`y_pred` must be finite where it counts"):
        end_point_error(true, predicted * np.inf, mask)
    with pytest.raises(ValueError, match="`matched` must be bool"):
        flow_regions(true, mask, mask[0])
