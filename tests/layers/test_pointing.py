"""What looks at real tokens alone: the masked mean and the pointer."""

import keras
import numpy as np
import pytest

from tests.backend import array
from zorro_keras import layers

RNG = np.random.default_rng(0)
TOKENS = RNG.normal(size=(3, 5, 7)).astype("float32")
QUERY = RNG.normal(size=(3, 11)).astype("float32")
MASK = np.array([[1, 1, 0, 0, 1], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]], bool)
SPOILT = np.where(MASK[..., None], TOKENS, np.nan).astype("float32")


def test_the_mean_is_over_real_tokens_whatever_the_others_hold():
    mean = layers.MaskedMean()
    expected = np.stack([TOKENS[0, [0, 1, 4]].mean(0), TOKENS[1, 0], np.zeros(7)])
    np.testing.assert_allclose(array(mean(TOKENS, MASK)), expected, atol=1e-6)
    np.testing.assert_array_equal(array(mean(SPOILT, MASK)), array(mean(TOKENS, MASK)))
    np.testing.assert_allclose(array(mean(TOKENS)), TOKENS.mean(1), atol=1e-6)


def test_a_long_mean_in_bfloat16_does_not_stop_to_grow():
    ones = np.ones((1, 997, 3), "float32")
    mean = layers.MaskedMean(dtype="bfloat16")
    np.testing.assert_array_equal(array(mean(ones, np.ones((1, 997), bool))), np.ones((1, 3)))


def test_the_pointer_is_the_scaled_product_of_two_keys():
    pointer = layers.PointerHead(13)
    scores = array(pointer(TOKENS, QUERY, MASK))
    keys = TOKENS @ array(pointer.key_dense.kernel) + array(pointer.key_dense.bias)
    query = QUERY @ array(pointer.query_dense.kernel) + array(pointer.query_dense.bias)
    expected = np.einsum("btk,bk->bt", keys, query) / np.sqrt(13)
    np.testing.assert_allclose(scores[MASK], expected[MASK], atol=1e-5)
    np.testing.assert_allclose(array(pointer(TOKENS, QUERY)), expected, atol=1e-5)


def test_what_is_masked_has_a_probability_of_exactly_zero():
    scores = layers.PointerHead(13)(TOKENS, QUERY, MASK)
    for chances in (keras.ops.sigmoid(scores), keras.ops.softmax(scores)[:2]):
        chances = array(chances)
        assert (chances[~MASK[: len(chances)]] == 0.0).all() and (chances[MASK[: len(chances)]] > 0.0).all()


def test_a_pointer_without_keys_is_refused():
    with pytest.raises(ValueError, match="`key_dim` must be positive. Received: key_dim=0"):
        layers.PointerHead(0)
