"""A long context is read chunk by chunk, its norm, keys and values included."""

import keras
import numpy as np
import pytest

from tests.backend import array, compiled, gradients
from zorro_keras import layers

SIZES = {"num_heads": 2, "query_key_dim": 6, "value_dim": 10, "mlp_dim": 4}


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def pair(key_chunk, **options):
    """Returns a block that reads at once and one with the same weights that reads in chunks."""
    blocks = [layers.CrossAttentionBlock(key_chunk=chunk, **SIZES, **options) for chunk in (None, key_chunk)]
    for block in blocks:
        block.build((None, 3, 8), (None, 13, 7))
    rng = np.random.default_rng(5)
    for weight in blocks[0].weights:
        weight.assign(rng.normal(size=weight.shape))
    blocks[1].set_weights(blocks[0].get_weights())
    return blocks


def mask_of(kind):
    """No mask, one that leaves the second example nothing, or one of each query."""
    if kind == "none":
        return None
    rows = 3 if kind == "of each query" else 1
    mask = np.random.default_rng(1).random((2, rows, 13)) < 0.6
    mask[1, 0] = False
    return mask


@pytest.mark.parametrize("kind", ["none", "of keys", "of each query"])
@pytest.mark.parametrize("key_chunk", [1, 4, 12])
def test_chunks_give_the_same_values(key_chunk, kind):
    whole, chunked = pair(key_chunk)
    query, context, mask = normal(2, 3, 8), normal(2, 13, 7, seed=1), mask_of(kind)
    expected = array(whole(query, context, attention_mask=mask))
    found = compiled(lambda q, c: chunked(q, c, attention_mask=mask))(query, context)
    np.testing.assert_allclose(array(found), expected, atol=2e-5)


@pytest.mark.parametrize("remat", [False, True])
def test_chunks_give_the_same_gradients_of_inputs_and_weights(remat):
    if remat and keras.config.backend() == "tensorflow":
        pytest.skip(
            "recompute_grad overlooks tensors in the place of variables: test_perceiver_training trains"
        )
    given, mask = (normal(2, 3, 8), normal(2, 13, 7, seed=1)), mask_of("of keys")
    found = []
    for block in pair(4, remat=remat):
        variables = block.trainable_variables

        def loss(query, context, *values, block=block, variables=variables):
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                return keras.ops.sum(block(query, context, attention_mask=mask, training=True) ** 2)

        found.append(gradients(loss, *given, *map(array, variables)))
    names = ["query", "context", *(variable.path for variable in variables)]
    largest = max(np.abs(grad).max() for grad in found[0])
    for name, whole, chunked in zip(names, *found, strict=True):
        # To add the same to all logits changes no softmax: there is nothing but rounding errors.
        nothing = name.endswith("key/bias")
        scale = largest if nothing else np.abs(whole).max()
        assert scale > 0
        np.testing.assert_allclose(chunked / scale, whole / scale, atol=1e-4, err_msg=name)


@pytest.mark.skipif(keras.config.backend() != "jax", reason="XLA tells before it runs what a program needs")
def test_keys_and_values_never_exist_whole():
    import jax

    def memory(block):
        shapes = [jax.ShapeDtypeStruct(shape, "float32") for shape in ((1, 3, 8), (1, 8192, 64))]
        return jax.jit(block).lower(*shapes).compile().memory_analysis().temp_size_in_bytes

    needed = []
    for chunk in (None, 128):
        block = layers.CrossAttentionBlock(2, key_chunk=chunk)
        block.build((None, 3, 8), (None, 8192, 64))
        needed.append(memory(block))
    context = 8192 * 64 * 4
    assert needed[0] > 2 * context > 1.2 * needed[1], needed
