"""The order of training: every example once per pass, the same wherever it is computed."""

import itertools

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from zorro_keras.applications.pipelines.order import (  # noqa: E402
    Draw,
    draw_seed,
    evaluation_order,
    shuffled_index,
    training_order,
    weighted_index,
)


def _take(order, count):
    return list(order.take(count).as_numpy_iterator())


@pytest.mark.parametrize("num_examples", [1, 2, 3, 7, 64, 101])
@pytest.mark.parametrize("seed", [0, 5])
def test_each_pass_is_a_permutation(num_examples, seed):
    indices = [int(place["index"]) for place in _take(training_order(num_examples, seed), 3 * num_examples)]
    for start in range(0, 3 * num_examples, num_examples):
        assert sorted(indices[start : start + num_examples]) == list(range(num_examples))


def test_passes_and_seeds_differ_and_the_same_seed_repeats():
    first, second = np.split(np.array([p["index"] for p in _take(training_order(101, 5), 202)]), 2)
    other_seed = np.array([p["index"] for p in _take(training_order(101, 6), 101)])
    again = np.array([p["index"] for p in _take(training_order(101, 5), 101)])
    assert (first == again).all()
    assert (first != second).mean() > 0.9
    assert (first != other_seed).mean() > 0.9


def test_the_order_is_this_one_with_every_supported_tensorflow():
    # Measured alike with TensorFlow 2.16.2 and 2.21.0: a run may be resumed after an upgrade.
    indices = [int(shuffled_index(tf.constant(place, tf.int64), 37, seed=3)) for place in range(37, 45)]
    assert indices == [10, 34, 5, 1, 13, 11, 32, 4]


def _weighted(weights, seed, count, start=0):
    order = training_order(len(weights), seed, start, weights=np.asarray(weights, np.float64))
    return [int(place["index"]) for place in _take(order, count)]


def test_in_each_pass_an_example_comes_as_often_as_its_weight_says():
    weights = np.array([5.0, 0.0, 1.0, 1.0, 0.5, 2.0, 0.5])
    expected = 7 * weights / weights.sum()
    indices = np.reshape(_weighted(weights, 3, 70), (10, 7))
    counts = np.array([np.bincount(row, minlength=7) for row in indices])
    assert (counts >= np.floor(expected)).all() and (counts <= np.ceil(expected)).all()
    np.testing.assert_allclose(counts.mean(0), expected, atol=0.35)
    assert len({tuple(row) for row in indices}) == 10  # passes differ
    assert _weighted(weights, 4, 70) != _weighted(weights, 3, 70)


def test_equal_weights_are_a_permutation():
    assert _weighted([0.3] * 11, 5, 22) == [int(p["index"]) for p in _take(training_order(11, 5), 22)]


def test_the_weighted_order_may_begin_anywhere_and_is_this_one():
    weights = [1.0, 9.0, 2.0, 4.0, 0.1]
    whole = _weighted(weights, 1, 30)
    for start in (1, 5, 13):
        assert _weighted(weights, 1, 30 - start, start) == whole[start:]
    assert whole[:10] == [1, 2, 3, 1, 1, 0, 2, 1, 3, 1]


def test_the_last_weight_may_be_zero():
    assert set(_weighted([1.0, 1.0, 0.0], 0, 90)) == {0, 1}


@pytest.mark.parametrize("weights", [[], [0.0, 0.0], [1.0, -1.0, 3.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match="`weights` must be at least 0, with a positive sum. Received"):
        weighted_index(tf.constant(0, tf.int64), np.array(weights), 0)


def test_the_order_may_begin_anywhere():
    whole = _take(training_order(7, 1), 40)
    for start in (0, 1, 6, 7, 23):
        part = _take(training_order(7, 1, start_position=start), 40 - start)
        assert [tuple(p.values()) for p in part] == [tuple(p.values()) for p in whole[start:]]


def test_eager_and_compiled_order_agree():
    compiled = [int(place["index"]) for place in _take(training_order(13, 9), 26)]
    eager = [int(shuffled_index(tf.constant(place, tf.int64), 13, 9)) for place in range(26)]
    assert compiled == eager


def test_draws_differ_by_seed_position_and_purpose_only():
    keys = {
        (seed, position, draw): float(tf.random.stateless_uniform([], draw_seed(seed, position, draw)))
        for seed, position, draw in itertools.product((0, 1), (0, 1, 2**40), Draw)
    }
    assert len({*keys.values()}) == len(keys)
    again = float(tf.random.stateless_uniform([], draw_seed(1, 2**40, Draw.MIXUP)))
    assert again == keys[1, 2**40, Draw.MIXUP]


def test_window_fractions_cover_the_clip_evenly():
    fractions = np.array([place["fraction"] for place in _take(training_order(5, 0), 1000)])
    assert fractions.min() >= 0.0
    assert fractions.max() < 1.0
    assert abs(fractions.mean() - 0.5) < 0.05


def test_evaluation_takes_the_centre_or_evenly_spaced_windows():
    centre = list(evaluation_order(3).as_numpy_iterator())
    assert [(int(p["index"]), float(p["fraction"])) for p in centre] == [(0, 0.5), (1, 0.5), (2, 0.5)]
    three = list(evaluation_order(2, num_clips=3).as_numpy_iterator())
    assert [int(p["index"]) for p in three] == [0, 0, 0, 1, 1, 1]
    assert [float(p["fraction"]) for p in three] == [0.0, 0.5, 1.0] * 2
    assert len(list(evaluation_order(2, 4, num_clips=3))) == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: training_order(0, 1), "`num_examples` must be positive. Received: num_examples=0"),
        (lambda: training_order(3, 1, -1), "`start_position` must not be negative"),
        (lambda: evaluation_order(3, num_clips=0), "num_clips=0"),
    ],
)
def test_nonsense_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
