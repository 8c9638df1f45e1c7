"""Window attention, Swin's block and merging, against numpy line by line."""

import itertools
import math

import keras
import numpy as np
import pytest

from tests.backend import array, compiled
from zorro_keras.layers import PatchMerging, SwinBlock, WindowAttention
from zorro_keras.layers.attention import attend


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def filled(layer, x):
    """Returns a layer built for `x`, with weights that are all far from zero."""
    layer.build(x.shape)
    for seed, weight in enumerate(layer.trainable_weights):
        weight.assign(0.5 * normal(*weight.shape, seed=seed))
    return layer


def run(layer, x):
    return array(compiled(lambda x: layer(x))(keras.ops.convert_to_tensor(x)))


def dense(weights, x):
    return x @ array(weights.kernel) + array(weights.bias)


def norm(weights, x, epsilon=1e-5):
    spread = np.sqrt(x.var(axis=-1, keepdims=True) + epsilon)
    return (x - x.mean(axis=-1, keepdims=True)) / spread * array(weights.gamma) + array(weights.beta)


def attention_by_hand(layer, x):
    """Returns window attention from a mask over all pairs of tokens of the grid; no window is ever cut."""
    grid = x.shape[1:-1]
    window = np.minimum(grid, layer.window)
    shift = np.where(np.array(grid) > layer.window, np.array(layer.window) // 2 * layer.shifted, 0)
    whole = -(-np.array(grid) // window) * window
    x = np.pad(x, [(0, 0), *((0, more) for more in whole - grid), (0, 0)])
    places = np.array(list(itertools.product(*map(range, whole))))  # T axes
    cells = (places - shift) // window
    real = (places < grid).all(axis=1)
    may_read = (cells[:, None] == cells[None]).all(axis=-1)
    if not layer.read_padding:
        may_read &= real[None]
    offsets = places[:, None] - places[None]  # T T axes
    spans = 2 * np.array(layer.window) - 1
    rows = np.zeros(may_read.shape, int)
    for axis, span in enumerate(spans):
        rows = rows * span + np.clip(offsets[..., axis] + layer.window[axis] - 1, 0, span - 1)
    tokens = x.reshape(x.shape[0], -1, x.shape[-1])  # B T D
    heads = (x.shape[0], len(places), layer.num_heads, -1)
    parts = layer.projections
    denses = (parts.query_dense, parts.key_dense, parts.value_dense)
    query, key, value = (dense(weights, tokens).reshape(heads) for weights in denses)
    logits = np.einsum("btnh,bsnh->bnts", query, key) / math.sqrt(query.shape[-1])
    logits = logits + array(layer.bias_table)[rows].transpose(2, 0, 1)
    weights = np.where(may_read, np.exp(logits - logits.max()), 0)
    weights /= np.maximum(weights.sum(axis=-1, keepdims=True), 1e-30)
    context = np.einsum("bnts,bsnh->btnh", weights, value).reshape(tokens.shape)
    result = dense(parts.output_dense, context).reshape(x.shape)
    return result[(slice(None), *map(slice, grid))]


CASES = [  # grid, window: dividing, not dividing, clamped on one axis, on all; of rank 1, 2 and 3
    ((6,), (2,)),
    ((5, 7), (3, 2)),
    ((6, 3), (3, 5)),
    ((3, 5, 4), (2, 7, 2)),
    ((2, 3, 5), (3, 5, 7)),
]


@pytest.mark.parametrize("shifted, read_padding", [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("grid, window", CASES)
def test_windows_are_a_mask_and_a_bias_over_all_pairs(grid, window, shifted, read_padding):
    x = normal(2, *grid, 6)
    layer = filled(WindowAttention(3, window, shifted=shifted, read_padding=read_padding), x)
    expected = attention_by_hand(layer, x)
    assert np.abs(expected).max() > 0.3
    np.testing.assert_allclose(run(layer, x), expected, atol=1e-5)


def test_a_token_reaches_its_window_and_no_further():
    x, moved = normal(1, 6, 6, 6), normal(1, 6, 6, 6)
    moved[0, 2, 2] += 1
    for shifted, reached in ((False, np.s_[0:3, 0:3]), (True, np.s_[1:4, 1:4])):
        layer = filled(WindowAttention(2, (3, 3), shifted=shifted), x)
        call = compiled(lambda x, layer=layer: layer(x))
        changed = (array(call(x)) != array(call(moved))).any(axis=-1)[0]
        expected = np.zeros((6, 6), bool)
        expected[reached] = True
        np.testing.assert_array_equal(changed, expected)


def test_the_bias_tells_where_a_key_lies():
    x = normal(1, 4, 4, 6)
    layer = filled(WindowAttention(2, (4, 4)), x)
    mirrored = run(layer, x[:, ::-1])[:, ::-1]
    assert np.abs(run(layer, x) - mirrored).max() > 1e-2
    layer.bias_table.assign(np.zeros(layer.bias_table.shape))
    np.testing.assert_allclose(run(layer, x), run(layer, x[:, ::-1])[:, ::-1], atol=1e-5)


def test_one_set_of_weights_serves_grids_of_any_size():
    layer = filled(WindowAttention(3, (3, 2), shifted=True), normal(2, 5, 7, 6))
    for grid in ((3, 3), (8, 5)):
        x = normal(2, *grid, 6)
        np.testing.assert_allclose(run(layer, x), attention_by_hand(layer, x), atol=1e-5)


def test_a_sliced_index_differs_only_where_a_later_axis_is_clamped():
    for grid, same in (((2, 5, 5), True), ((5, 2, 5), False)):
        x = normal(1, *grid, 6)
        own, sliced = (filled(WindowAttention(2, (3, 5, 5), slice_index=s), x) for s in (False, True))
        assert (np.abs(run(own, x) - run(sliced, x)).max() < 1e-6) == same


def test_bfloat16_is_near_float32():
    x = normal(2, 5, 7, 6)
    layer = filled(WindowAttention(3, (3, 2), shifted=True), x)
    half = WindowAttention(3, (3, 2), shifted=True, dtype="mixed_bfloat16")
    half.build(x.shape)
    half.set_weights(layer.get_weights())
    expected = run(layer, x)
    np.testing.assert_allclose(run(half, x), expected, atol=2.0**-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    "arguments, shape, message",
    [
        ({"num_heads": 0, "window": (3, 3)}, None, "`num_heads` must be positive.*num_heads=0"),
        ({"num_heads": 2, "window": (3, 0)}, None, r"positive sizes\. Received: .*window=\(3, 0\)"),
        ({"num_heads": 4, "window": (3, 3)}, (None, 5, 7, 6), r"divide the channels\. .*num_heads=4"),
        ({"num_heads": 2, "window": (3, 3)}, (None, 2, 5, 7, 6), "a size for each axis of the grid"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(arguments, shape, message):
    with pytest.raises(ValueError, match=message):
        WindowAttention(**arguments).build(shape)


def test_a_grid_must_be_known():
    with pytest.raises(ValueError, match="must be known. Received"):
        WindowAttention(2, (3, 3)).call(keras.KerasTensor((None, None, 5, 6)))


# === The bias of attention ===


def test_a_bias_is_added_to_the_logits_and_more_axes_may_follow_the_batch():
    query, key, value = (normal(2, 3, 5, 2, 7, seed=seed) for seed in range(3))  # B W T N H
    bias, mask = normal(2, 5, 5, seed=3), np.tri(5, dtype=bool)[None, None] ^ np.eye(5, dtype=bool)
    logits = np.einsum("bwtnh,bwsnh->bwnts", query, key) / math.sqrt(7) + bias
    weights = np.where(mask[:, :, None], np.exp(logits), 0)
    weights /= np.maximum(weights.sum(axis=-1, keepdims=True), 1e-30)
    expected = np.einsum("bwnts,bwsnh->bwtnh", weights, value)
    found = array(
        compiled(lambda *x: attend(*x, keras.ops.convert_to_tensor(mask), bias=bias))(query, key, value)
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (found[:, :, 0] == 0).all()  # the first query may read nothing


def test_a_bias_is_cut_with_the_queries_of_a_long_sequence():
    query, key, value = (normal(1, 600, 1, 3, seed=seed) for seed in range(3))
    bias = normal(1, 600, 600, seed=3)
    logits = np.einsum("btnh,bsnh->bnts", query, key) / math.sqrt(3) + bias
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    expected = np.einsum("bnts,bsnh->btnh", weights / weights.sum(axis=-1, keepdims=True), value)
    found = array(compiled(lambda *x: attend(*x, bias=keras.ops.convert_to_tensor(bias)))(query, key, value))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_bias_cannot_be_read_in_chunks():
    x = normal(1, 5, 2, 3)
    with pytest.raises(
        ValueError, match="`key_chunk` must be None where there is a bias. Received: key_chunk=2"
    ):
        attend(x, x, x, key_chunk=2, bias=normal(2, 5, 5))


# === Block and merging ===


def test_a_block_is_its_equations():
    x = normal(2, 5, 7, 6)
    block = filled(SwinBlock(3, 11, (3, 2), shifted=True), x)
    gelu = np.vectorize(lambda value: value * 0.5 * (1 + math.erf(value / math.sqrt(2))))
    expected = x + attention_by_hand(block.attention, norm(block.attention_norm, x))
    hidden = gelu(dense(block.mlp.hidden_dense, norm(block.mlp_norm, expected)))
    expected = expected + dense(block.mlp.output_dense, hidden)
    np.testing.assert_allclose(run(block, x), expected, atol=2e-5)


def test_stochastic_depth_skips_a_branch_for_a_whole_example():
    x = normal(16, 2, 3, 6)
    block = filled(SwinBlock(3, 11, (2, 3), stochastic_depth_rate=0.5), x)
    block.mlp.output_dense.kernel.assign(np.zeros((11, 6)))
    block.mlp.output_dense.bias.assign(np.zeros(6))
    moved = array(block(x, training=True)) != x
    per_example = moved.reshape(16, -1).mean(axis=1)
    assert set(per_example) == {0.0, 1.0}


@pytest.mark.parametrize("grid", [(4, 6), (5, 7), (3, 5, 4)])
def test_merging_joins_two_by_two_neighbours_column_by_column(grid):
    x = normal(2, *grid, 3)
    merging = filled(PatchMerging(), x)
    *before, rows, columns = grid
    even = np.pad(x, [(0, 0), *[(0, 0)] * len(before), (0, rows % 2), (0, columns % 2), (0, 0)])
    halves = even.reshape(*even.shape[:-3], -(-rows // 2), 2, -(-columns // 2), 2, 3)
    # ... y row x column c -> ... y x (column row c): the one below comes before the one beside.
    joined = np.moveaxis(halves, (-2, -4), (-3, -2)).reshape(
        *even.shape[:-3], -(-rows // 2), -(-columns // 2), 12
    )
    expected = norm(merging.norm, joined) @ array(merging.reduction.kernel)
    np.testing.assert_allclose(run(merging, x), expected, atol=1e-5)
    assert merging.compute_output_shape(x.shape) == expected.shape
