"""PSNR against its definition, and what it does at its ends."""

import numpy as np
import pytest

from zorro_keras.metrics import decibels, peak_signal_to_noise_ratio


def test_an_error_of_a_tenth_of_the_peak_is_20_db():
    assert decibels(0.1**2) == pytest.approx(20.0)
    assert decibels(25.5**2, peak=255) == pytest.approx(20.0)
    np.testing.assert_allclose(decibels([1.0, 0.01, 1e-4]), [0.0, 20.0, 40.0])


def test_twice_the_error_is_6_db_less():
    assert decibels(1e-3) - decibels(4e-3) == pytest.approx(20 * np.log10(2))


def test_no_error_at_all_is_100_db():
    assert decibels(0.0) == decibels(1e-12) == 100.0


def test_it_is_the_mean_over_examples_by_their_weights():
    rng = np.random.default_rng(0)
    true, made = rng.uniform(0, 1, (3, 5, 7)), rng.uniform(0, 1, (3, 5, 7))
    each = [-10 * np.log10(((true[k] - made[k]) ** 2).mean()) for k in range(3)]
    assert peak_signal_to_noise_ratio(true, made) == pytest.approx(np.mean(each))
    weighted = peak_signal_to_noise_ratio(true, made, sample_weight=[1.0, 0.0, 3.0])
    assert weighted == pytest.approx((each[0] + 3 * each[2]) / 4)


def test_what_has_no_weight_may_be_anything():
    true, made = np.zeros((2, 3)), np.array([[0.1] * 3, [np.nan] * 3])
    assert peak_signal_to_noise_ratio(true, made, sample_weight=[1.0, 0.0]) == pytest.approx(20.0)
    assert np.isnan(peak_signal_to_noise_ratio(true, made, sample_weight=[0.0, 0.0]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: decibels(-1.0), "`mean_squared_error` at least 0"),
        (lambda: decibels(np.nan), "`mean_squared_error` at least 0"),
        (lambda: decibels(1.0, peak=0.0), "`peak` must be positive"),
        (lambda: peak_signal_to_noise_ratio(np.zeros((2, 3)), np.zeros((2, 4))), "must both have shape"),
        (lambda: peak_signal_to_noise_ratio(np.zeros(3), np.zeros(3)), "must both have shape"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
