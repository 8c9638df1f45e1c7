"""The cross-entropy in chunks is the plain one, and takes no more memory for a longer text."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.backend import array, compiled, gradients
from zorro_keras.layers import TiedEmbedding
from zorro_keras.losses import tied_embedding_losses

random = np.random.default_rng(0)
ANSWERS, TABLE, BIAS = (
    random.normal(size=size).astype("float32") for size in ((2, 7, 5), (11, 5), (11,))
)  # B T E, V E, V
LABELS = random.integers(0, 11, (2, 7)).astype("int32")
WEIGHTS = random.random((2, 7)).astype("float32")


def plain(answers, table, bias):
    logits = ops.add(ops.matmul(answers, ops.transpose(table)), bias)
    return keras.losses.sparse_categorical_crossentropy(LABELS, logits, from_logits=True)


@pytest.mark.parametrize("chunk", [1, 3, 7, 64])
def test_value_and_gradients_are_those_of_all_logits_at_once(chunk):
    def ours(*given):
        return tied_embedding_losses(*given, LABELS, chunk)

    given = (ANSWERS, TABLE, BIAS)
    np.testing.assert_allclose(array(compiled(ours)(*given)), array(plain(*given)), atol=1e-5)
    found, expected = (
        gradients(lambda *given, loss=loss: ops.sum(ops.multiply(loss(*given), WEIGHTS)), *given)
        for loss in (ours, plain)
    )
    for one, other in zip(found, expected, strict=True):
        assert np.abs(other).max() > 0.1
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_it_scores_as_the_head_that_shares_the_table_does():
    head = TiedEmbedding("text", 11)
    head.build(ANSWERS.shape)
    head.bias.assign(BIAS)
    logits = head(ANSWERS, TABLE)
    expected = keras.losses.sparse_categorical_crossentropy(LABELS, logits, from_logits=True)
    found = tied_embedding_losses(ANSWERS, TABLE, head.bias, LABELS, chunk=2)
    np.testing.assert_allclose(array(found), array(expected), atol=1e-5)


def test_half_precision_is_lost_in_the_products_alone():
    half = ops.cast(ANSWERS, "bfloat16")
    found = tied_embedding_losses(half, TABLE, BIAS, LABELS, chunk=4)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    np.testing.assert_allclose(array(found), array(plain(ANSWERS, TABLE, BIAS)), atol=0.1)


@pytest.mark.skipif(
    keras.config.backend() != "jax", reason="measures a program of XLA's, compiled through JAX"
)
def test_memory_does_not_grow_with_the_length_of_the_text():
    import jax

    ids, width = 2003, 8

    def scratch(length, loss):
        given = [
            jax.ShapeDtypeStruct(shape, "float32") for shape in ((3, length, width), (ids, width), (ids,))
        ]
        labels = np.zeros((3, length), "int32")
        step = jax.jit(jax.grad(lambda *given: ops.sum(loss(*given, labels)), argnums=(0, 1, 2)))
        return step.lower(*given).compile().memory_analysis().temp_size_in_bytes

    def whole(answers, table, bias, labels):
        logits = ops.add(ops.matmul(answers, ops.transpose(table)), bias)
        return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)

    def in_chunks(*given):
        return tied_embedding_losses(*given, chunk=16)

    logits = 3 * (256 - 64) * ids * 4  # of the places that the longer text has more
    assert scratch(256, whole) - scratch(64, whole) >= logits
    assert scratch(256, in_chunks) - scratch(64, in_chunks) < 0.05 * logits


def test_what_does_not_go_together_is_refused():
    with pytest.raises(ValueError, match="`chunk` must be positive. Received: chunk=0"):
        tied_embedding_losses(ANSWERS, TABLE, BIAS, LABELS, chunk=0)
    with pytest.raises(ValueError, match=r"must be .* Received: \(2, 7, 5\), \(11, 5\), \(10,\), \(2, 7\)"):
        tied_embedding_losses(ANSWERS, TABLE, BIAS[:10], LABELS)
    with pytest.raises(ValueError, match=r"Received: \(2, 7, 5\), \(11, 5\), \(11,\), \(2, 6\)"):
        tied_embedding_losses(ANSWERS, TABLE, BIAS, LABELS[:, :6])
