"""What the library asks of a compiler, seen in what it compiles."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.backend import array
from zorro_keras.layers import TransformerBlock
from zorro_keras.layers.kernels import computed_once


@pytest.mark.skipif(
    keras.config.backend() != "jax",
    reason="counts the operations of a program of XLA's, compiled through JAX",
)
def test_the_gradient_of_a_deep_stack_costs_as_much_per_block_as_that_of_a_shallow_one():
    import jax

    def operations(depth):
        blocks = [TransformerBlock(num_heads=2, mlp_dim=16) for _ in range(depth)]
        tokens = np.random.default_rng(0).normal(size=(1, 8, 8)).astype("float32")
        for block in blocks:
            block(tokens)
        weights = [[variable.value for variable in block.variables] for block in blocks]

        def loss(weights, x):
            for block, values in zip(blocks, weights, strict=True):
                x, _ = block.stateless_call(values, [], x)
            return ops.mean(x**2)

        return jax.jit(jax.grad(loss)).lower(weights, tokens).compile().cost_analysis()["flops"]

    shallow, deeper, deepest = operations(2), operations(6), operations(10)
    assert deepest - deeper == pytest.approx(deeper - shallow, rel=0.02)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_keeping_a_result_changes_no_bit(dtype):
    x = ops.cast(np.array([0.1, -0.0, np.inf, -np.inf, np.nan, 3e38], "float32"), dtype)
    kept = computed_once(x)
    assert keras.backend.standardize_dtype(kept.dtype) == dtype
    np.testing.assert_array_equal(array(kept), array(x))
    np.testing.assert_array_equal(np.signbit(array(kept)), np.signbit(array(x)))
