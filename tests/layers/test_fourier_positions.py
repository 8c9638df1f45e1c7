import keras
import numpy as np
import pytest

from tests.backend import array
from zorro_keras.layers import FourierPositions
from zorro_keras.layers import fourier_positions as module

BACKEND = keras.config.backend()
LIKE = np.zeros((2, 1), "float32")


def published(positions, num_bands, max_resolution, sine_only=False):
    """Section 3.2 of arXiv 2103.03206, one position after the other."""
    codes = []
    for position in positions:
        phases = [
            np.pi * f * x
            for x, resolution in zip(position, max_resolution, strict=True)
            for f in np.linspace(1, resolution / 2, num_bands)
        ]
        codes.append([*position, *np.sin(phases), *([] if sine_only else np.cos(phases))])
    return np.array(codes)


def grid_of(sizes, endpoint):
    axes = [np.linspace(-1, 1, size, endpoint=endpoint) for size in sizes]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(sizes))


@pytest.mark.parametrize("endpoint", [True, False])
@pytest.mark.parametrize("sine_only", [True, False])
def test_a_grid_is_put_together_from_its_axes(endpoint, sine_only):
    sizes, resolution = (3, 5, 2), (4, 8, 6)
    layer = FourierPositions(sizes, 4, resolution, sine_only=sine_only, endpoint=endpoint)
    expected = published(grid_of(sizes, endpoint), 4, resolution, sine_only)
    codes = array(layer(LIKE))
    assert codes.shape == (2, 30, layer.dim)
    np.testing.assert_allclose(codes[1], expected, atol=1e-6)
    np.testing.assert_array_equal(layer.table(), codes[0])
    rows = np.array([29, 0, 7, 7])
    np.testing.assert_array_equal(array(layer(LIKE, rows=rows))[0], codes[0, rows])
    np.testing.assert_allclose(
        array(layer.at(grid_of(sizes, endpoint))), expected.astype("float32"), atol=2e-5
    )


def test_the_codes_of_an_axis_are_computed_once():
    layer = FourierPositions((11, 13), 4)
    layer(LIKE)
    before = module.axis_codes.cache_info()
    layer(LIKE), layer(LIKE, rows=np.array([3]))
    after = module.axis_codes.cache_info()
    assert after.misses == before.misses and after.hits == before.hits + 4


@pytest.mark.skipif(BACKEND == "torch", reason="torch makes no graph")
def test_a_large_grid_is_no_constant_of_the_graph():
    """The autoencoder's 802,816 queries of 195 channels are 626 MB; here a hundredth of them."""
    layer = FourierPositions((16, 32, 16), 32, (16, 56, 56))
    table_bytes = 4 * layer.length * layer.dim
    assert constant_bytes(layer) < table_bytes / 100
    whole = layer.table()
    assert constant_bytes(lambda like: like + keras.ops.convert_to_tensor(whole)[:1, :1]) > table_bytes / 2


def constant_bytes(function):
    """Returns how many bytes of constants the graph of a function of `LIKE` holds."""
    if BACKEND == "jax":
        import jax

        return sum(np.asarray(c).nbytes for c in jax.make_jaxpr(function)(LIKE).consts)
    import tensorflow as tf

    graph = tf.function(function).get_concrete_function(tf.TensorSpec(LIKE.shape)).graph
    return graph.as_graph_def().ByteSize()


def test_a_grid_is_not_needed_where_a_call_gives_it():
    free, bound = FourierPositions(None, 3, (4, 8)), FourierPositions((3, 5), 3, (4, 8))
    np.testing.assert_array_equal(array(free(LIKE, grid=(3, 5))), array(bound(LIKE)))
    assert free.length is None and free.dim == bound.dim
    with pytest.raises(ValueError, match="`grid` must have 2 axes, as `max_resolution`. Received: None"):
        free(LIKE)
    with pytest.raises(ValueError, match=r"`grid` must have 2 axes.*Received: \(3,\)"):
        free(LIKE, grid=(3,))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((None, 3), "`grid` or `max_resolution` is needed"),
        (((3, 5), 3, (4,)), r"one positive size for each axis.*max_resolution=\(4,\)"),
        (((3, 0), 3), r"Received: grid=\(3, 0\)"),
        (((3, 5), 0), "num_bands=0"),
    ],
)
def test_sizes_that_do_not_match_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        FourierPositions(*arguments)


def test_codes_come_in_the_compute_dtype():
    layer = FourierPositions((3, 5), 3, dtype="mixed_bfloat16")
    for codes in (layer(LIKE), layer(LIKE, rows=np.array([1])), layer.at([[0.0, 1.0]])):
        assert keras.backend.standardize_dtype(codes.dtype) == "bfloat16"
