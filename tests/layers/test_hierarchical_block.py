"""A level of HiP: against its formulas line by line, group by group, and with fewer latents."""

import keras
import numpy as np
import pytest

from tests.backend import array
from zorro_keras import layers
from zorro_keras.layers.activations import squared_relu

random = np.random.default_rng(0)
ELEMENTS = random.normal(size=(2, 3, 7, 5)).astype("float32")  # B G N C
SKIP = random.normal(size=(2, 3, 4, 11)).astype("float32")  # B G K E
SIZES = {"num_groups": {"all": 3}, "num_latents": 4, "hidden_dim": 6, "num_layers": 2, "num_heads": 2}


def block(**overrides):
    return layers.HierarchicalBlock(**{**SIZES, **overrides})


def run(level, elements, skip=None, attention_mask=None, **options):
    """Returns the latents of the one set of a level."""
    mask = None if attention_mask is None else {"all": attention_mask}
    skip = None if skip is None else {"all": skip}
    return array(level({"all": elements}, skip, mask, **options)["all"])


def test_a_block_computes_the_published_formulas():
    level = block()
    level.build({"all": ELEMENTS.shape}, {"all": SKIP.shape})
    disturbed = [array(w) + 0.1 * random.normal(size=w.shape) for w in level.weights]
    level.set_weights(disturbed)  # so that biases, norms and tables all count
    result = run(level, ELEMENTS, SKIP)
    for example in range(2):
        for group in range(3):
            expected = by_hand(level, ELEMENTS[example, group], SKIP[example, group], group)
            np.testing.assert_allclose(result[example, group], expected, atol=2e-4)


def by_hand(level, elements, skip, group):
    """Returns the latents `(K, D)` of one group: HiP's formulas, in numpy, without any batch."""
    rows = slice(group * level.num_latents, (group + 1) * level.num_latents)
    latents = array(level.latents["all"].array)[rows] + dense(level.skip_dense, skip)
    cross = level.cross_attention
    query, context = norm(cross.query_norm, latents), norm(cross.context_norm, elements)
    latents = latents + attention(cross.attention, query, context)
    latents = latents + mlp(cross.mlp, norm(cross.mlp_norm, latents))
    for layer in level.blocks:
        normed = norm(layer.attention_norm, latents)
        latents = latents + attention(layer.attention, normed, normed)
        latents = latents + mlp(layer.mlp, norm(layer.mlp_norm, latents))
    return latents


def dense(layer, x):
    return x @ array(layer.kernel) + array(layer.bias)


def norm(layer, x):
    centred = x - x.mean(-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return centred / deviation * array(layer.gamma) + array(layer.beta)


def mlp(layer, x):
    return dense(layer.output_dense, np.maximum(dense(layer.hidden_dense, x), 0) ** 2)


def attention(layer, query, context):
    parts = [layer.query_dense, layer.key_dense, layer.value_dense]
    q, k, v = (dense(part, x) for part, x in zip(parts, (query, context, context), strict=True))
    heads = []
    for q_h, k_h, v_h in zip(*(np.split(x, layer.num_heads, axis=-1) for x in (q, k, v)), strict=True):
        weights = np.exp(q_h @ k_h.T / np.sqrt(q_h.shape[-1]))
        heads.append(weights / weights.sum(-1, keepdims=True) @ v_h)
    return dense(layer.output_dense, np.concatenate(heads, -1))


def test_what_stands_in_one_group_never_reaches_another():
    level, changed = block(), ELEMENTS.copy()
    changed[:, 1] = np.nan
    before, after = run(level, ELEMENTS), run(level, changed)
    np.testing.assert_array_equal(after[:, [0, 2]], before[:, [0, 2]])
    assert np.isnan(after[:, 1]).all()


@pytest.mark.slow
def test_sets_share_all_weights_but_their_latents_and_never_read_one_another():
    level = block(num_groups={"a": 3, "b": 2, "c": 1})
    elements = {"b": random.normal(size=(2, 2, 3, 5)).astype("float32"), "a": ELEMENTS}  # c is left out
    both = {name: array(x) for name, x in level(elements).items()}
    assert list(both) == ["a", "b"] and both["b"].shape == (2, 2, 4, 6)
    for name, x in elements.items():
        alone = block(num_groups={name: x.shape[1]})
        alone.build({name: x.shape})
        alone.set_weights(
            [array(w) for w in level.weights if "_latents" not in w.path or f"{name}_l" in w.path]
        )
        np.testing.assert_allclose(both[name], array(alone({name: x})[name]), atol=1e-5)
    poisoned = level({**elements, "b": np.full_like(elements["b"], np.nan)})
    np.testing.assert_array_equal(array(poisoned["a"]), both["a"])


def test_masked_elements_are_not_read_and_others_are():
    level, changed = block(), ELEMENTS.copy()
    mask = np.ones((2, 3, 7), bool)
    mask[0, 1, 4:] = False
    changed[0, 1, 4:] = 9.0
    np.testing.assert_array_equal(
        run(level, changed, attention_mask=mask), run(level, ELEMENTS, attention_mask=mask)
    )
    assert (run(level, changed) != run(level, ELEMENTS)).any()


@pytest.mark.slow
def test_a_call_may_use_fewer_latents_and_training_draws_others_for_each_group_of_each_example():
    level = block(num_train_latents=2, num_layers=1)
    assert run(level, ELEMENTS).shape == (2, 3, 4, 6)
    assert run(level, ELEMENTS, num_latents=3).shape == (2, 3, 3, 6)
    level.cross_attention.set_weights([0 * w for w in level.cross_attention.get_weights()])
    level.blocks[0].set_weights([0 * w for w in level.blocks[0].get_weights()])  # latents pass unchanged
    table = run(level, ELEMENTS)[0]  # G K D
    np.testing.assert_array_equal(run(level, ELEMENTS, num_latents=3)[1], table[:, :3])
    drawn = np.stack([run(level, ELEMENTS, training=True) for _ in range(5)])  # calls B G k D
    chosen = (drawn[..., None, :] == table[:, None]).all(-1)  # calls B G k K
    assert (chosen.sum(-1) == 1).all() and (chosen.sum(-2) <= 1).all()
    sets = chosen.any(-2)  # calls B G K
    assert len({picked.tobytes() for picked in sets.reshape(30, 4)}) > 3
    assert (sets[:, 0] != sets[:, 1]).any() and (sets[:, :, 0] != sets[:, :, 1]).any()


def test_tables_start_with_the_published_spread():
    level = block(num_groups={"all": 8}, num_latents=64, hidden_dim=64)
    level.build({"all": (None, 8, 3, 5)})
    rows = array(level.latents["all"].array)
    assert rows.std() == pytest.approx(512**-0.5, rel=0.02)


@pytest.mark.parametrize(
    "sizes, call, message",
    [
        ({"num_latents": 0}, {}, "`num_latents` must be positive. Received: num_latents=0"),
        ({"num_train_latents": 5}, {}, "`num_train_latents` .* at most 4. Received: num_train_latents=5"),
        ({}, {"num_latents": 5}, "`num_latents` .* at most 4. Received: num_latents=5"),
        ({}, {"num_latents": 3, "skip": SKIP}, "With a `skip`, all 4 .* Received: num_latents=3"),
        ({"num_groups": {"all": 5}}, {}, r"Expected 5 groups of `all`. Received: shape=\(2, 3, 7, 5\)"),
        ({"num_groups": {"all": 0}}, {}, "`num_groups` must be positive. Received: num_groups=0"),
        ({"num_groups": {"one": 3}}, {}, r"some of the sets \['one'\]. Received: \['all'\]"),
    ],
)
def test_wrong_sizes_are_named(sizes, call, message):
    with pytest.raises(ValueError, match=message):
        run(block(**sizes), ELEMENTS, **call)


def test_the_activation_squares_what_is_positive():
    np.testing.assert_array_equal(array(squared_relu(keras.ops.array([-2.0, 0.0, 3.0]))), [0, 0, 9])
