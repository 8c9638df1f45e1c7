"""A Perceiver's attention drops weights in training, in every way in which it may be computed."""

import keras
import numpy as np
import pytest

from tests.backend import array
from zorro_keras import layers

pytestmark = pytest.mark.slow

WAYS = [{}, {"remat": True}, {"chunk": 4}, {"remat": True, "chunk": 4, "num_repeats": 2}]


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def pair(rate, remat=False, chunk=None, num_repeats=1):
    """Returns an encoder and a decoder; their weights do not depend on the rate."""
    keras.utils.set_random_seed(0)
    options = {"attention_dropout_rate": rate, "remat": remat}
    encoder = layers.PerceiverEncoder(3, 8, 2, num_repeats, num_heads=2, key_chunk=chunk, **options)
    decoder = layers.PerceiverDecoder(query_chunk=chunk, **options)
    encoder.build((1, 11, 6))
    decoder.build((1, 3, 8), (1, 9, 6))
    return encoder, decoder


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_weights_are_dropped_in_training_alone(way):
    given = (normal(1, 11, 6),), (normal(1, 3, 8), normal(1, 9, 6))
    for arguments, dropping, keeping in zip(given, pair(0.5, **way), pair(0.0, **way), strict=True):
        one, other, calm, whole = (
            array(layer(*arguments, training=training))
            for layer, training in ((dropping, True), (dropping, True), (dropping, False), (keeping, True))
        )
        np.testing.assert_allclose(calm, whole, atol=1e-5)
        assert (one != calm).any() and (one != other).any()


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_step_of_training_moves_every_part(way):
    encoder, decoder = pair(0.5, **way)
    elements, queries = keras.Input((11, 6)), keras.Input((9, 6))
    model = keras.Model([elements, queries], decoder(encoder(elements), queries))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    before = [array(weight) for weight in model.trainable_weights]
    for _ in range(2):
        loss = model.train_on_batch([normal(4, 11, 6), normal(4, 9, 6, seed=1)], normal(4, 9, 6, seed=2))
    assert np.isfinite(loss)
    moved = [
        (array(weight) != old).any() for weight, old in zip(model.trainable_weights, before, strict=True)
    ]
    assert all(moved)
