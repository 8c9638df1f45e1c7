import functools

import keras
import numpy as np
import pytest

from tests.backend import array, compiled, gradients
from zorro_keras.layers import PerceiverDecoder, PerceiverEncoder

BACKEND = keras.config.backend()


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def pair(query_chunk, num_latents=5, **options):
    """Returns a decoder that answers at once and one with the same weights that answers in chunks."""
    decoders = [PerceiverDecoder(num_heads=2, query_chunk=chunk, **options) for chunk in (None, query_chunk)]
    for decoder in decoders:
        decoder.build((None, num_latents, 8), (None, None, 6))
    decoders[1].set_weights(decoders[0].get_weights())
    return decoders


@pytest.mark.parametrize("query_chunk, remat", [(4, False), (5, True)])
def test_answers_in_chunks_are_those_at_once_in_value_and_gradient(query_chunk, remat):
    whole, chunked = pair(query_chunk, output_dim=3, remat=remat)
    latents, queries, weight = normal(2, 5, 8), normal(2, 11, 6, seed=1), normal(2, 11, 3, seed=2)
    mask = np.random.default_rng(3).random((2, 11)) < 0.6

    def loss(decoder):
        def value(latents, queries):
            answers = decoder(latents, queries, query_mask=keras.ops.convert_to_tensor(mask), training=True)
            return keras.ops.sum(answers * keras.ops.convert_to_tensor(weight))

        return value

    for of_whole, of_chunked in zip(
        *(gradients(loss(decoder), latents, queries) for decoder in (whole, chunked)), strict=True
    ):
        assert np.abs(of_whole).max() > 0.1
        np.testing.assert_allclose(of_chunked, of_whole, atol=1e-5 * np.abs(of_whole).max())
    answers = [
        array(compiled(lambda x, q, decoder=decoder: decoder(x, q))(latents, queries))
        for decoder in (whole, chunked)
    ]
    np.testing.assert_allclose(*answers, atol=1e-5)


def test_the_weights_learn_in_chunks_what_they_learn_at_once():
    whole, chunked = pair(4)
    before = [array(weight) for weight in whole.weights]
    latents, queries, target = normal(2, 5, 8), normal(2, 11, 6, seed=1), normal(2, 11, 6, seed=2)
    for decoder in (whole, chunked):
        x, q = keras.Input((5, 8)), keras.Input((11, 6))
        model = keras.Model([x, q], decoder(x, q))
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.train_on_batch([latents, queries], target)
    for one, other in zip(whole.weights, chunked.weights, strict=True):
        np.testing.assert_allclose(array(one), array(other), atol=1e-5, err_msg=one.path)
    moved = [np.abs(array(w) - b).max() > 1e-4 for w, b in zip(whole.weights, before, strict=True)]
    assert sum(moved) >= len(moved) - 1  # the bias of a key has no gradient


def test_chunks_drop_out_each_for_itself():
    decoder = pair(4, dropout_rate=0.5, query_residual=True)[1]
    queries = np.broadcast_to(normal(1, 1, 6), (1, 8, 6))
    answers, calm = (
        array(compiled(functools.partial(decoder, training=training))(normal(1, 5, 8), queries))
        for training in (True, False)
    )
    assert (answers[:, :4] != answers[:, 4:]).any()
    np.testing.assert_allclose(calm[:, :4], calm[:, 4:], atol=1e-6)


@pytest.mark.skipif(BACKEND == "torch", reason="torch makes no graph")
def test_the_graph_does_not_grow_with_the_number_of_chunks():
    whole, chunked = pair(4)
    assert graph_size(chunked, 8) == graph_size(chunked, 400)
    assert graph_size(chunked, 8) > graph_size(whole, 8)


def graph_size(decoder, num_queries):
    arrays = normal(1, 5, 8), normal(1, num_queries, 6)
    if BACKEND == "jax":
        import jax

        return str(jax.make_jaxpr(lambda *x: decoder(*x))(*arrays)).count(" = ")
    import tensorflow as tf

    graph = tf.function(lambda *x: decoder(*x)).get_concrete_function(*map(tf.constant, arrays)).graph
    return len(graph.get_operations()) + sum(len(f.node_def) for f in graph.as_graph_def().library.function)


@pytest.mark.skipif(BACKEND != "jax", reason="JAX alone tells the memory of a compiled function")
@pytest.mark.parametrize("training", [False, True])
def test_the_weights_of_all_queries_never_exist_at_once(training):
    import jax

    num_latents, num_queries = 1024, 4096
    whole, chunked = pair(16, num_latents)
    arrays = normal(1, num_latents, 8), normal(1, num_queries, 6)

    def temporary_bytes(decoder):
        def value(latents, queries):
            return keras.ops.sum(decoder(latents, queries, training=training) ** 2)

        function = jax.grad(value, argnums=(0, 1)) if training else value
        return jax.jit(function).lower(*arrays).compile().memory_analysis().temp_size_in_bytes

    weights = 4 * 2 * num_latents * num_queries // 8  # of both heads, float32, of an eighth of the queries
    assert temporary_bytes(whole) > weights  # which `attend` takes at a time
    assert temporary_bytes(chunked) < weights / 2


def test_a_last_layer_of_zeros_answers_zero():
    decoder = PerceiverDecoder(output_dim=2, output_initializer="zeros")
    assert not array(decoder(normal(1, 5, 8), normal(1, 3, 6))).any()
    assert array(PerceiverDecoder(output_dim=2)(normal(1, 5, 8), normal(1, 3, 6))).any()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: PerceiverDecoder(query_chunk=0), "`query_chunk` must be positive or None. .*query_chunk=0"),
        (lambda: PerceiverEncoder(0, 8, 1), "`num_latents` must be positive. Received: num_latents=0"),
        (lambda: PerceiverEncoder(3, 8, 1, key_chunk=0), "`key_chunk` must be positive"),
    ],
)
def test_sizes_must_be_positive(make, message):
    with pytest.raises(ValueError, match=message):
        make()
