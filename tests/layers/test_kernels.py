"""What the library asks of a compiler, seen in what it compiles."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.backend import array, gradients
from zorro_keras.layers import TransformerBlock
from zorro_keras.layers.kernels import by_rows, computed_once, repeated


@pytest.mark.slow
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


def test_a_dense_layer_by_rows_gives_the_same():
    dense = keras.layers.Dense(5, activation="gelu")
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 6)).astype("float32")
    np.testing.assert_allclose(array(by_rows(dense, x)), array(dense(x)), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(array(by_rows(dense, x[0, 0])), array(dense(x[0, 0])))


@pytest.mark.skipif(keras.config.backend() != "jax", reason="looks at a program of XLA's for processors")
def test_the_gradient_of_a_kernel_is_a_product_of_matrices_as_they_lie():
    """Of a tensor of three axes XLA copies one operand into another order first."""
    import jax

    dense, x = keras.layers.Dense(64), np.ones((4, 32, 48), "float32")
    dense(x)

    def copies(call):
        def loss(kernel, x):
            with keras.StatelessScope(state_mapping=[(dense.kernel, kernel)]):
                return ops.sum(call(x) ** 3)

        program = jax.jit(jax.grad(loss)).lower(dense.kernel.value, x).compile().as_text()
        return program.count("copy(")

    assert copies(lambda x: by_rows(dense, x)) < copies(dense)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_keeping_a_result_changes_no_bit(dtype):
    x = ops.cast(np.array([0.1, -0.0, np.inf, -np.inf, np.nan, 3e38], "float32"), dtype)
    kept = computed_once(x)
    assert keras.backend.standardize_dtype(kept.dtype) == dtype
    np.testing.assert_array_equal(array(kept), array(x))
    np.testing.assert_array_equal(np.signbit(array(kept)), np.signbit(array(x)))


def stack(depth=2, tokens_shape=(1, 8, 8)):
    """A step of `depth` transformer blocks."""
    blocks = [TransformerBlock(num_heads=2, mlp_dim=16) for _ in range(depth)]
    for block in blocks:
        block.build(tokens_shape)

    def step(x):
        for block in blocks:
            x = block(x)
        return x

    return step


def test_a_repeated_step_gives_the_values_and_gradients_of_a_plain_loop():
    step, x = stack(), np.random.default_rng(0).normal(size=(1, 8, 8)).astype("float32")
    np.testing.assert_allclose(array(repeated(step, 3, x)), array(step(step(step(x)))), atol=1e-5)
    (ours,) = gradients(lambda x: ops.mean(repeated(step, 3, x) ** 2), x)
    (plain,) = gradients(lambda x: ops.mean(step(step(step(x))) ** 2), x)
    np.testing.assert_allclose(ours, plain, atol=1e-6)


def test_a_step_that_draws_runs_again_in_every_turn():
    turns = iter([1.0, 10.0, 100.0])
    x = repeated(lambda x: x + next(turns), 3, ops.zeros(()), draws=True)
    assert float(array(x)) == 111.0


@pytest.mark.slow
@pytest.mark.skipif(
    keras.config.backend() != "jax",
    reason="measures a program of XLA's, compiled through JAX",
)
def test_repeats_are_compiled_once_and_keep_less_for_the_backward_pass():
    import jax

    step, tokens = stack(tokens_shape=(1, 64, 8)), np.ones((1, 64, 8), "float32")

    def program(times, loop):
        def plain(x):
            for _ in range(times):
                x = step(x)
            return x

        run = (lambda x: repeated(step, times, x)) if loop else plain
        return jax.jit(jax.grad(lambda x: ops.mean(run(x) ** 2))).lower(tokens)

    lines = [len(program(times, loop=True).as_text().splitlines()) for times in (2, 8)]
    assert lines[0] == lines[1]
    kept = [program(8, loop).compile().memory_analysis().temp_size_in_bytes for loop in (True, False)]
    assert kept[0] < 0.5 * kept[1], kept
