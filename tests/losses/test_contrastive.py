"""The noise-contrastive loss against its equation in numpy, at its edges, and in half precision."""

import keras
import numpy as np
import pytest

from tests.backend import array, gradients
from zorro_keras import losses

random = np.random.default_rng(0)
FIRST, SECOND = (random.normal(size=(5, 3)).astype("float32") for _ in range(2))


def by_hand(first, second, temperature):
    """Line by line: cosines over the temperature, then the cross-entropy of row i for column i, both ways."""
    first, second = first.astype("float64"), second.astype("float64")
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (first, second)]
    logits = unit[0] @ unit[1].T / temperature
    losses = []
    for scores in (logits, logits.T):
        probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        losses.append(-np.log(np.diagonal(probabilities)))
    return np.mean(losses, axis=0)


@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_each_example_asks_both_ways_for_its_own(temperature):
    found = array(losses.noise_contrastive_losses(FIRST, SECOND, temperature))
    np.testing.assert_allclose(found, by_hand(FIRST, SECOND, temperature), rtol=2e-5)
    np.testing.assert_allclose(
        found, array(losses.noise_contrastive_losses(SECOND, 7 * FIRST, temperature)), rtol=2e-5
    )


def test_equal_embeddings_leave_chance_and_orthogonal_pairs_leave_nothing():
    same = np.ones((4, 3), "float32")
    np.testing.assert_allclose(array(losses.noise_contrastive_losses(same, same)), np.log(4), rtol=1e-5)
    apart = np.eye(4, dtype="float32")
    assert array(losses.noise_contrastive_losses(apart, apart)).max() < 1e-4


def test_who_lacks_one_of_both_is_nobodys_answer_and_may_hold_anything():
    present = np.array([True, False, True, True, False])
    first, second = FIRST.copy(), SECOND.copy()
    first[1], second[4] = np.nan, np.inf
    found = array(losses.noise_contrastive_losses(first, second, present=present))
    expected = np.zeros(5)
    expected[present] = by_hand(FIRST[present], SECOND[present], 0.07)
    np.testing.assert_allclose(found, expected, rtol=2e-5)

    def total(first, second):
        return keras.ops.sum(losses.noise_contrastive_losses(first, second, present=present))

    for gradient in gradients(total, first, second):
        assert np.isfinite(gradient).all() and (gradient[~present] == 0).all()
        assert (gradient[present] != 0).all()


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e30])
def test_no_length_of_an_embedding_makes_it_or_its_gradient_infinite(scale):
    def total(first):
        return keras.ops.sum(losses.noise_contrastive_losses(first, SECOND))

    first = (scale * FIRST).astype("float32")
    assert np.isfinite(array(total(keras.ops.convert_to_tensor(first))))
    assert np.isfinite(gradients(total, first)[0]).all()


def test_half_precision_is_lost_in_the_embeddings_alone():
    half = [keras.ops.cast(x, "bfloat16") for x in (FIRST, SECOND)]
    found = losses.noise_contrastive_losses(*half, temperature=0.01)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    rounded = [array(keras.ops.cast(x, "float32")) for x in half]
    np.testing.assert_allclose(array(found), by_hand(*rounded, 0.01), rtol=1e-3, atol=1e-4)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"one shape .* Received: \(5, 3\) and \(4, 3\)"):
        losses.noise_contrastive_losses(FIRST, SECOND[:4])
