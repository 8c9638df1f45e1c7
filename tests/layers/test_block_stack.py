"""A loop over blocks' weights: the same numbers and draws as block after block, in a program of one block."""

import re

import keras
import numpy as np
import pytest
from keras import ops

from tests.backend import array
from zorro_keras.layers import TransformerBlock, block_stack
from zorro_keras.layers.block_stack import in_turn

DIM = 8
on_jax = pytest.mark.skipif(keras.config.backend() != "jax", reason="only JAX loops over weights")


def stack(num_layers, dropout_rate=0.0, stochastic_depth_rate=0.0, remat=True, dtype=None):
    blocks = [
        TransformerBlock(
            2,
            16,
            dropout_rate=dropout_rate,
            stochastic_depth_rate=stochastic_depth_rate * layer / max(num_layers - 1, 1),
            remat=remat,
            seed=4 * layer,
            dtype=dtype,
        )
        for layer in range(num_layers)
    ]
    for block in blocks:
        block.build((None, 5, DIM))
    return blocks


def tokens(batch_size=3):
    return np.random.default_rng(0).normal(size=(batch_size, 5, DIM)).astype("float32")


def trained(blocks, x, looped, monkeypatch, **reading):
    """Result, gradients by input and weights, and the state of all seeds after it, as one jitted step."""
    import jax

    monkeypatch.setattr(block_stack, "loops_over_weights", lambda x: looped)
    weights = [variable for block in blocks for variable in block.trainable_variables]
    seeds = [
        variable
        for block in blocks
        for variable in block.non_trainable_variables
        if variable.dtype == "uint32"
    ]

    def run(values, x):
        mapping = [*zip(weights, values, strict=True), *((seed, seed.value) for seed in seeds)]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            y = in_turn(blocks, x, training=True, **reading)
        drawn = [scope.get_current_value(seed) for seed in seeds]
        return ops.mean(ops.square(y)), (y, drawn)

    step = jax.jit(jax.value_and_grad(run, argnums=(0, 1), has_aux=True))
    (_, (y, drawn)), gradients = step([weight.value for weight in weights], x)
    return y, gradients, drawn


@on_jax
@pytest.mark.parametrize("dropout_rate, skip_rate", [(0.0, 0.0), (0.3, 0.0), (0.2, 0.5)])
def test_a_loop_gives_the_numbers_and_draws_of_the_blocks(monkeypatch, dropout_rate, skip_rate):
    blocks = stack(4, dropout_rate, skip_rate)
    mask = np.array([[[1, 1, 0, 1, 1]]] * 3, bool)
    looped, plain = (
        trained(blocks, tokens(), looped, monkeypatch, attention_mask=mask) for looped in (True, False)
    )
    for ours, theirs in zip(keras.tree.flatten(looped), keras.tree.flatten(plain), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6)


@pytest.mark.slow
@on_jax
def test_in_half_precision_the_draws_are_those_of_the_exact_rates(monkeypatch):
    """Rounded, a small rate would be another. XLA on a CPU computes bfloat16 in float32; float16 shows it."""
    blocks = stack(3, stochastic_depth_rate=0.0182, dtype="mixed_float16")
    looped, plain = (trained(blocks, tokens(4096), looped, monkeypatch)[0] for looped in (True, False))
    apart = np.abs(np.asarray(looped, "float32") - np.asarray(plain, "float32"))
    assert (apart < 0.1).all()


@on_jax
@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_a_loop_casts_what_comes_in_as_a_block_does(monkeypatch, dtype):
    blocks = stack(3, dtype=dtype)
    looped, plain = (trained(blocks, tokens(), looped, monkeypatch)[0] for looped in (True, False))
    assert looped.dtype == plain.dtype == keras.dtype_policies.get(dtype).compute_dtype


@pytest.mark.slow
@on_jax
def test_frozen_blocks_and_layers_stay_out_of_the_loop_of_others(monkeypatch):
    blocks = stack(6, dropout_rate=0.2)
    blocks[0].trainable = blocks[1].trainable = blocks[2].mlp_norm.trainable = False
    looped, plain = (trained(blocks, tokens(), looped, monkeypatch) for looped in (True, False))
    for ours, theirs in zip(keras.tree.flatten(looped), keras.tree.flatten(plain), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6)


@pytest.mark.slow
@on_jax
def test_skipping_differs_from_block_to_block(monkeypatch):
    blocks = stack(3, stochastic_depth_rate=0.9)
    y, _, drawn = trained(blocks, tokens(64), True, monkeypatch)
    assert len({tuple(np.asarray(seed)) for seed in drawn}) == len(drawn) == 4  # none in the first block
    kept, _, _ = trained(stack(3), tokens(64), True, monkeypatch)
    assert not np.allclose(y, kept)


def compiled_step(num_layers, looped, monkeypatch):
    import jax

    monkeypatch.setattr(block_stack, "loops_over_weights", lambda x: looped)
    blocks = stack(num_layers)
    weights = [variable for block in blocks for variable in block.trainable_variables]

    def loss(values, x):
        with keras.StatelessScope(state_mapping=list(zip(weights, values, strict=True))):
            return ops.mean(in_turn(blocks, x, training=True))

    x = np.zeros((16, 5, DIM), "float32")
    return jax.jit(jax.grad(loss)).lower([weight.value for weight in weights], x)


@on_jax
def test_a_deeper_stack_has_no_more_products_to_compile(monkeypatch):
    def products(num_layers, looped):
        return len(re.findall("dot_general", compiled_step(num_layers, looped, monkeypatch).as_text()))

    assert products(8, looped=True) == products(3, looped=True) > 0
    assert products(8, looped=False) > 2 * products(3, looped=False)


@pytest.mark.slow
@on_jax
def test_a_cpu_keeps_less_in_a_loop(monkeypatch):
    """Block after block, XLA merges what is computed again with the first time, and keeps that."""
    merging = {"xla_disable_hlo_passes": ""}  # a command before this test may forbid it

    def kept(looped):
        return compiled_step(8, looped, monkeypatch).compile(merging).memory_analysis().temp_size_in_bytes

    assert kept(looped=True) < 0.7 * kept(looped=False)


def test_without_remat_or_training_blocks_are_called_one_by_one():
    x = ops.convert_to_tensor(tokens())
    for blocks, training in ((stack(3), False), (stack(3, remat=False), True)):
        expected = x
        for block in blocks:
            expected = block(expected, training=training)
        np.testing.assert_array_equal(array(in_turn(blocks, x, training=training)), array(expected))
