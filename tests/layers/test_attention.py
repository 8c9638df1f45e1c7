import functools

import keras
import numpy as np
import pytest

from tests.backend import array, compiled, gradients
from zorro_keras.layers import Attention, online_softmax
from zorro_keras.layers import attention as attention_module
from zorro_keras.layers.attention import attend
from zorro_keras.routing import ReadPlan, Routing, TokenLayout


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def numpy_attention(query, key, value, mask):
    """Section 3.2.1 of arXiv 1706.03762, one example, head and query at a time."""
    result = np.zeros((*query.shape[:3], value.shape[-1]))
    for b, t, n in np.ndindex(query.shape[:3]):
        logits = key[b, :, n] @ query[b, t, n].astype("float64") / np.sqrt(query.shape[-1])
        seen = mask[b, t]
        if seen.any():
            weights = np.exp(logits[seen] - logits[seen].max())
            result[b, t, n] = weights / weights.sum() @ value[b, seen, n]
    return result


def test_attention_is_the_papers_equation_with_blind_queries_at_zero():
    query, key, value = normal(2, 5, 3, 7), normal(2, 11, 3, 7, seed=1), normal(2, 11, 3, 13, seed=2)
    mask = np.random.default_rng(3).random((2, 5, 11)) < 0.4
    mask[0, 2] = False
    np.testing.assert_allclose(
        array(attend(query, key, value, mask)), numpy_attention(query, key, value, mask), atol=2e-6
    )
    everything = np.ones_like(mask)
    np.testing.assert_allclose(
        array(attend(query, key, value)), numpy_attention(query, key, value, everything), atol=2e-6
    )


@pytest.mark.parametrize("mask_rows", [5, 1])
def test_queries_read_in_parts_get_what_they_get_at_once(monkeypatch, mask_rows):
    query, key, value = normal(2, 5, 3, 7), normal(2, 11, 3, 7, seed=1), normal(2, 11, 3, 13, seed=2)
    mask = np.random.default_rng(3).random((2, mask_rows, 11)) < 0.4
    mask[0, 0] = False
    monkeypatch.setattr(attention_module, "LOGITS_PER_PART", 20)
    assert attention_module._row_cuts(5, 11) == [3]
    expected = numpy_attention(query, key, value, np.broadcast_to(mask, (2, 5, 11)))
    np.testing.assert_allclose(array(attend(query, key, value, mask)), expected, atol=2e-6)


@pytest.mark.parametrize("key_chunk", [1, 4, 11, 20])
def test_keys_read_in_chunks_give_the_same_values_and_gradients(key_chunk):
    query, key, value = normal(2, 5, 3, 7), 9 * normal(2, 11, 3, 7, seed=1), normal(2, 11, 3, 13, seed=2)
    mask = np.random.default_rng(3).random((2, 1, 11)) < 0.4
    mask[0, 0, :] = False
    chunked = array(attend(query, key, value, mask, key_chunk=key_chunk))
    np.testing.assert_allclose(chunked, array(attend(query, key, value, mask)), atol=2e-6)
    assert (chunked[0] == 0).all() and (chunked[1] != 0).all()

    def loss(chunk):
        return lambda *arrays: keras.ops.sum(attend(*arrays, mask, key_chunk=chunk) ** 2)

    exact = exact_gradients(query, key, value, mask)
    for chunk in (None, key_chunk):
        for found, expected in zip(gradients(loss(chunk), query, key, value), exact, strict=True):
            # Of weights as peaked as these, float32 is 2e-6 (torch) to 5e-6 (TensorFlow) off, whole or not.
            np.testing.assert_allclose(found, expected, atol=6e-6 * np.abs(expected).max())


def exact_gradients(query, key, value, mask):
    """Returns those of the sum of the squares of what is read, in float64."""
    query, key, value = (array.astype("float64") for array in (query, key, value))
    scale, seen = query.shape[-1] ** -0.5, mask[:, None]  # B N T S
    logits = np.where(seen, scale * np.einsum("btnh,bsnh->bnts", query, key), -np.inf)
    logits = np.where(seen.any(-1, keepdims=True), logits, 0.0)
    weights = np.exp(logits - logits.max(-1, keepdims=True)) * seen
    weights /= np.maximum(weights.sum(-1, keepdims=True), 1e-300)
    of_read = 2 * np.einsum("bnts,bsne->btne", weights, value)
    of_weights = np.einsum("btne,bsne->bnts", of_read, value)
    of_logits = weights * (of_weights - (of_weights * weights).sum(-1, keepdims=True))
    return (
        scale * np.einsum("bnts,bsnh->btnh", of_logits, key),
        scale * np.einsum("bnts,btnh->bsnh", of_logits, query),
        np.einsum("bnts,btne->bsne", weights, of_read),
    )


def test_chunks_in_bfloat16_are_summed_in_float32():
    """Against float64 on the same rounded arrays: many sums in bfloat16 would lose what is small."""
    arrays = normal(1, 3, 2, 8), normal(1, 512, 2, 8, seed=1), 1 + normal(1, 512, 2, 8, seed=2) / 4
    query, key, value = (keras.ops.cast(x, "bfloat16") for x in arrays)
    everything = np.ones((1, 3, 512), bool)
    expected = numpy_attention(array(query), array(key), array(value), everything)
    run = {
        chunk: compiled(functools.partial(attend, attention_mask=everything, key_chunk=chunk))
        for chunk in (None, 32)
    }
    errors = {chunk: np.abs(array(run[chunk](query, key, value)) - expected).max() for chunk in run}
    assert errors[32] <= 2 * errors[None]


def test_the_keys_that_are_asked_for_are_read_at_a_time(monkeypatch):
    """Also where the backend has a fused kernel: it may need all logits, for widths that it does not know."""
    seen, weigh = [], online_softmax.weigh
    monkeypatch.setattr(
        online_softmax, "weigh", lambda q, k, v, **kw: seen.append(k.shape[3]) or weigh(q, k, v, **kw)
    )
    monkeypatch.setattr(attention_module, "has_fused_attention", lambda: True)
    query, key = normal(1, 5, 1, 4), normal(1, 11, 1, 4, seed=1)
    attend(query, key, key, key_chunk=4)
    assert max(seen) == 4
    seen.clear()
    layout = TokenLayout({"audio": 11})
    plan = ReadPlan(Routing.early(["audio"]), layout, layout)
    attention_module.attend_along(plan, normal(1, 11, 1, 4), key, key, key_chunk=6)
    assert max(seen) == 6


@pytest.mark.skipif(keras.config.backend() != "jax", reason="JAX alone tells what it compiles")
def test_neither_program_nor_memory_grow_with_the_number_of_key_chunks():
    import jax

    def read(num_keys, key_chunk):
        arrays = normal(1, 64, 1, 8), normal(1, num_keys, 1, 8), normal(1, num_keys, 1, 8, seed=1)

        def loss(*arrays):
            return keras.ops.sum(attend(*arrays, key_chunk=key_chunk) ** 2)

        gradients = jax.jit(jax.grad(loss, argnums=(0, 1, 2))).lower(*arrays)
        length = str(jax.make_jaxpr(jax.grad(loss))(*arrays)).count(" = ")
        return length, gradients.compile().memory_analysis().temp_size_in_bytes

    (few, _), (many, chunked), (_, whole) = read(4096, 2048), read(16384, 2048), read(16384, None)
    assert few == many
    weights = 4 * 64 * 16384  # of a whole row of keys, float32
    assert chunked < weights < whole


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="other backends know every length")
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("rows", [None, 5, 1])
def test_a_length_known_only_when_run_is_read_in_chunks_too(jit_compile, rows):
    import tensorflow as tf

    def loss(key_chunk, query, key, value, mask=None):
        return keras.ops.sum(attend(query, key, value, mask, key_chunk=key_chunk) ** 2)

    def value_and_gradients(key_chunk, *arrays):
        with tf.GradientTape() as tape:
            tape.watch(arrays[:3])
            result = loss(key_chunk, *arrays)
        return result, tape.gradient(result, arrays[:3])

    unknown = [tf.TensorSpec((None, 5, 3, 7))]
    unknown += [tf.TensorSpec((None, None, 3, size)) for size in (7, 13)]
    unknown += [] if rows is None else [tf.TensorSpec((None, rows, None), tf.bool)]
    graph = tf.function(
        functools.partial(value_and_gradients, 4), input_signature=unknown, jit_compile=jit_compile
    )
    for length in (11, 3, 8):
        arrays = [normal(2, 5, 3, 7), normal(2, length, 3, 7, seed=1), normal(2, length, 3, 13, seed=2)]
        if rows is not None:
            mask = np.random.default_rng(3).random((2, rows, length)) < 0.6
            mask[0, 0] = False
            arrays.append(mask)
        arrays = [tf.constant(x) for x in arrays]
        found, expected = graph(*arrays), value_and_gradients(None, *arrays)
        for one, other in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5 * np.abs(other).max(), rtol=1e-5)
    assert graph.experimental_get_tracing_count() == 1
    assert any(
        "While" in operation.type for operation in graph.get_concrete_function().graph.get_operations()
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("dropout_rate", [0.0, 0.5])
@pytest.mark.parametrize("training", [False, True])
def test_a_blind_query_gets_exactly_zero_under_every_dropout_and_dtype(dtype, dropout_rate, training):
    query, key, value = (keras.ops.cast(normal(1, 3, 2, 4, seed=i), dtype) for i in range(3))
    dropout = keras.layers.Dropout(dropout_rate, seed=0, dtype=dtype) if dropout_rate else None
    mask = np.array([[[True, True, False], [False, False, False], [True, False, False]]])
    result = array(attend(query, key, value, mask, dropout and (lambda w: dropout(w, training=training))))
    assert (result[:, 1] == 0).all()
    assert np.isfinite(result).all()
    if not training:
        assert (result[:, [0, 2]] != 0).any()


def test_a_blind_query_sends_no_gradient():
    mask = np.array([[[True, True], [False, False]]])

    def total(query, key, value):
        return keras.ops.sum(attend(query, key, value, mask) ** 2)

    query, key, value = gradients(
        total, normal(1, 2, 1, 3), normal(1, 2, 1, 3, seed=1), normal(1, 2, 1, 3, seed=2)
    )
    assert np.isfinite(query).all() and np.isfinite(key).all()
    assert (query[:, 1] == 0).all() and (query[:, 0] != 0).any()
    assert (value != 0).any()


ROUTINGS = {
    "zorro": Routing.zorro(["audio", "video"]),
    "bottleneck": Routing.bottleneck(["audio", "video"]),
    "early": Routing.early(["audio", "video", "fusion"]),
    "with a gap": Routing({"audio": ["audio", "fusion"], "video": ["video"], "fusion": ["fusion"]}),
}


@pytest.mark.parametrize("name", ROUTINGS)
def test_structured_attention_equals_the_dense_mask(name):
    layout = TokenLayout({"audio": 3, "video": 4, "fusion": 2})
    plan = ReadPlan(ROUTINGS[name], layout, layout)
    attention, tokens = Attention(num_heads=2, head_dim=3), normal(2, layout.total, 6)
    attention.build(tokens.shape)
    structured = compiled(lambda x: attention(x, plan=plan))(tokens)
    dense = compiled(lambda x: attention(x, attention_mask=plan.mask[None]))(tokens)
    np.testing.assert_allclose(array(structured), array(dense), atol=1e-6)


def test_structured_gradients_equal_the_dense_masks():
    layout = TokenLayout({"audio": 5, "video": 7, "fusion": 2})
    plan = ReadPlan(Routing.zorro(["audio", "video"]), layout, layout)
    attention, tokens = Attention(num_heads=2, head_dim=3), normal(3, layout.total, 6)
    weight = keras.ops.convert_to_tensor(normal(3, layout.total, 6, seed=1))
    attention.build(tokens.shape)
    (structured,) = gradients(lambda x: keras.ops.sum(attention(x, plan=plan) * weight), tokens)
    (dense,) = gradients(
        lambda x: keras.ops.sum(attention(x, attention_mask=plan.mask[None]) * weight), tokens
    )
    np.testing.assert_allclose(structured, dense, atol=1e-5)
    assert np.abs(dense).max() > 0.01


def test_padded_keys_are_as_if_they_were_not_there():
    layout = TokenLayout({"audio": 5, "fusion": 2})
    plan = ReadPlan(Routing.zorro(["audio"]), layout, layout, padded=["audio"])
    attention, tokens = Attention(num_heads=2, head_dim=3), normal(2, 7, 6)
    mask = np.ones((2, 1, 7), bool)
    mask[:, :, 3:5] = False
    padded = array(attention(tokens, plan=plan, attention_mask=mask))
    short = TokenLayout({"audio": 3, "fusion": 2})
    kept = tokens[:, [0, 1, 2, 5, 6]]
    alone = array(attention(kept, plan=ReadPlan(Routing.zorro(["audio"]), short, short)))
    np.testing.assert_allclose(padded[:, [0, 1, 2, 5, 6]], alone, atol=1e-6)


def test_widths_of_query_context_values_and_result_are_free():
    attention = Attention(num_heads=3, head_dim=5, value_head_dim=7, output_dim=11)
    result = attention(normal(2, 4, 13), normal(2, 6, 17))
    assert tuple(result.shape) == (2, 4, 11)
    shapes = {w.path.split("/")[-2]: tuple(w.shape) for w in attention.weights if w.name == "kernel"}
    assert shapes == {"query": (13, 15), "key": (17, 15), "value": (17, 21), "output": (21, 11)}


def test_remembered_keys_and_values_are_read_like_tokens():
    attention, tokens = Attention(num_heads=2, head_dim=3), normal(2, 7, 6)
    whole = array(attention(tokens))
    memory = attention.keys_and_values(keras.ops.convert_to_tensor(tokens[:, :4]))
    late = array(attention(tokens[:, 4:], memory=memory))
    np.testing.assert_allclose(late, whole[:, 4:], atol=1e-6)
    assert np.abs(late - array(attention(tokens[:, 4:]))).max() > 1e-3


def test_other_streams_may_hold_infinities():
    layout = TokenLayout({"audio": 2, "video": 3})
    plan = ReadPlan(Routing.late(layout), layout, layout)
    attention, tokens = Attention(num_heads=2, head_dim=3), normal(1, 5, 6)
    clean = array(attention(tokens, plan=plan))
    tokens[:, 2:] = [[np.inf], [np.nan], [-np.inf]]
    broken = array(attention(tokens, plan=plan))
    assert (broken[:, :2] == clean[:, :2]).all()
    assert not np.isfinite(broken[:, 2:]).any()


@pytest.mark.parametrize("argument", ["num_heads", "head_dim", "key_chunk"])
def test_sizes_must_be_positive(argument):
    with pytest.raises(ValueError, match=f"`{argument}` must be positive. Received: {argument}=0"):
        Attention(**{"num_heads": 1, "head_dim": 1, argument: 0})
