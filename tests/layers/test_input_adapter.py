import keras
import numpy as np
import pytest

from tests.backend import array, compiled
from zorro_keras import layers, streams

TENSORFLOW = keras.config.backend() == "tensorflow"


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def fourier(rank, bands=2):
    return layers.FourierPositions(None, bands, (8,) * rank)


# === Stems ===


def test_a_patch_is_read_out_row_by_row_channels_last():
    clip = np.arange(2 * 4 * 6 * 3, dtype="float32").reshape(1, 2, 4, 6, 3)
    patches = array(layers.PatchStem((2, 2, 3))(clip))
    assert patches.shape == (1, 1, 2, 2, 36)
    np.testing.assert_array_equal(patches[0, 0, 1, 0], clip[0, :, 2:4, 0:3].ravel())
    sound = array(layers.PatchStem((5,))(np.arange(20.0)[None]))
    np.testing.assert_array_equal(sound[0], np.arange(20.0).reshape(4, 5))


def test_a_pixel_is_the_first_of_its_step_in_space_and_time():
    clip = normal(2, 5, 4, 6, 3)
    pixels = array(layers.PixelStem((2, 2, 3))(clip))
    np.testing.assert_array_equal(pixels, clip[:, ::2, ::2, ::3])


def test_a_projected_pixel_is_a_convolution_of_one_pixel():
    image, stem = normal(2, 6, 8, 3), layers.PixelStem((2, 2), 5)
    convolution = keras.layers.Conv2D(5, 1, strides=2)
    stem.build(image.shape), convolution.build(image.shape)
    kernel, bias = normal(3, 5, seed=1), normal(5, seed=2)
    stem.projection.set_weights([kernel, bias])
    convolution.set_weights([kernel[None, None], bias])
    np.testing.assert_allclose(array(stem(image)), array(convolution(image)), atol=1e-5)


def test_an_id_becomes_a_one_and_zeros():
    np.testing.assert_array_equal(array(layers.OneHot(4)(np.array([[2, 0]]))), np.eye(4)[[[2, 0]]])


def test_a_clip_is_convolved_frame_by_frame():
    stem, clip = layers.ConvStem(5, frame_step=2), normal(2, 3, 8, 12, 3)
    frames = array(stem(clip))
    assert frames.shape == (2, 2, 2, 3, 5) == stem.compute_output_shape(clip.shape)
    np.testing.assert_allclose(frames[:, 1], array(stem(clip[:, 2])), atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(8, 12), (226, 30), (7, 5), (9, 1), (2, 11)])
def test_deepminds_convolutions_pad_as_same_does_for_the_sides_there_are(height, width):
    """Beside TensorFlow's definition of SAME in numpy, where sides need not be divided by 4."""
    stem, image = layers.ConvStem(2), normal(1, height, width, 3)
    stem.build(image.shape)
    kernel = array(stem.convolutions[0].kernel)
    expected = same_windows(image, 7, 0.0).reshape(*halves(height, width), -1) @ kernel.reshape(-1, 2)
    expected = np.maximum(expected / np.sqrt(1 + 1e-5), 0)[None]
    expected = same_windows(expected, 3, -np.inf).max(axis=(2, 3))[None]
    found = array(compiled(stem)(image))
    assert found.shape == expected.shape == stem.compute_output_shape(image.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def same_windows(x, side, value):
    """Windows of `side` x `side` in steps of 2 as SAME lays them: `(Y / 2, X / 2, side, side, C)`."""
    paddings = [(0, 0)]
    for size in x.shape[1:3]:
        missing = max((-(-size // 2) - 1) * 2 + side - size, 0)
        paddings.append((missing // 2, missing - missing // 2))
    padded = np.pad(x, [*paddings, (0, 0)], constant_values=value)[0]
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(0, 1))[::2, ::2]
    return np.moveaxis(windows, 2, -1)


def halves(*sizes):
    return [-(-size // 2) for size in sizes]


@pytest.mark.skipif(not TENSORFLOW, reason="only TensorFlow traces unknown sides")
def test_one_graph_pads_sides_that_it_does_not_know():
    import tensorflow as tf

    stem, spec = layers.ConvStem(2), tf.TensorSpec((1, None, None, 3))
    run = tf.function(stem, input_signature=[spec])
    for sides in ((8, 12), (30, 7)):
        image = normal(1, *sides, 3)
        np.testing.assert_allclose(array(run(image)), array(stem(image)), atol=1e-5)


def test_any_keras_layer_may_be_the_stem():
    adapter = layers.InputAdapter(
        streams.Image(6, 8, patch=(2, 2)), stem=keras.layers.Conv2D(5, 2, strides=2), positions=fourier(2)
    )
    assert (adapter.grid, adapter.dim) == ((3, 4), 5 + 10)
    elements = array(adapter(normal(2, 6, 8, 3)))
    np.testing.assert_allclose(elements[..., :5], array(adapter.stem(normal(2, 6, 8, 3))).reshape(2, 12, 5))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: layers.PatchStem((0, 2)), r"`patch` must have positive sizes.*Received: patch=\(0, 2\)"),
        (lambda: layers.PixelStem((1, 1), 0), "Received: step=.*embed_dim=0"),
        (lambda: layers.ConvStem(0), "Received: embed_dim=0"),
        (lambda: layers.ConvStem(8, semantics="torch"), "Received: 'torch'"),
        (lambda: layers.OneHot(0), "Received: num_classes=0"),
        (lambda: layers.PatchStem((4, 4))(normal(1, 6, 8, 3)), r"must divide.*shape=\(1, 6, 8, 3\)"),
    ],
)
def test_stems_refuse_sizes_that_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# === What goes together ===

IMAGE = streams.Image(8, 12, patch=(4, 4))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"stem": layers.PatchStem((2, 2))}, r"`stem` must give the grid \(2, 3\).*Received: \(4, 6, 12\)"),
        ({"stem": layers.PatchStem((4, 4)), "embed_dim": 3}, "`embed_dim` is of the stream's own stem"),
        ({"embed_dim": 0}, "embed_dim=0"),
        ({"join": "sum"}, r"`join` must be one of \['concat', 'add'\]. Received: 'sum'"),
        ({"position_dim": 3}, "needs `positions`"),
        ({"positions": fourier(2), "position_dim": 0}, "Received: position_dim=0"),
        ({"positions": fourier(2), "join": "add"}, r"as many channels .* 48; .* Received: 10"),
        ({"positions": layers.FourierPositions((2, 4), 2)}, r"of the grid \(2, 3\).*Received: grid=\(2, 4\)"),
        ({"positions": layers.LearnedArray(5, 3)}, "one for each element. Received: grid=None, length=5"),
        ({"positions": layers.LearnedArray(7, 3)}, "length=7"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        layers.InputAdapter(IMAGE, **options)


def test_arguments_that_go_together_are_taken():
    codes = layers.FourierPositions((2, 3), 2)
    assert layers.InputAdapter(IMAGE, 10, positions=codes, join="add").dim == 10
    assert layers.InputAdapter(IMAGE, 4, positions=codes, position_dim=4, join="add").dim == 4
    assert layers.InputAdapter(IMAGE, positions=layers.LearnedArray(6, 3)).dim == 48 + 3


def test_ids_need_a_table_or_one_hot_vectors():
    with pytest.raises(ValueError, match=r"needs a positive `embed_dim`, or a `stem`, such as `OneHot"):
        layers.InputAdapter(streams.Tokens(3, 5))
    adapter = layers.InputAdapter(streams.Tokens(3, 5), stem=layers.OneHot(5))
    np.testing.assert_array_equal(array(adapter(np.array([[4, 0, 2]]))), np.eye(5)[[[4, 0, 2]]])


# === What is hidden ===


@pytest.mark.parametrize(
    "stem", [layers.PatchStem((4, 4), 5), layers.PixelStem((4, 4)), layers.ConvStem(5)], ids=lambda s: s.name
)
def test_a_hidden_element_reaches_no_other(stem):
    adapter = layers.InputAdapter(IMAGE, stem=stem)
    image = normal(2, 8, 12, 3)
    adapter.build(image.shape)
    keep = np.ones((2, 6), bool)
    keep[0, 4] = False
    poisoned, elsewhere = image.copy(), image.copy()
    poisoned[0, 4:8, 4:8] = np.nan
    elsewhere[0, 0:4, 0:4] += 1
    run = compiled(lambda x, keep: adapter(x, keep=keep))
    expected = array(run(image, keep))
    np.testing.assert_array_equal(array(run(poisoned, keep)), expected)
    assert (array(run(elsewhere, keep)) != expected).any()
    shown = array(run(image, np.ones_like(keep)))
    assert (shown[0, 4] != expected[0, 4]).any()


def test_elements_that_are_no_patches_cannot_be_hidden():
    stem = layers.ConvStem(5, semantics="hugging_face")
    adapter = layers.InputAdapter(streams.Image(16, 16, patch=(4, 4)), stem=stem)
    assert adapter.grid == (3, 3)
    with pytest.raises(ValueError, match=r"a patch \(4, 4\).*\(1, 16, 16, 3\) of \(3, 3\) elements"):
        adapter(normal(1, 16, 16, 3), keep=np.ones((1, 9), bool))
    assert adapter(normal(1, 16, 16, 3), keep=np.ones((1, 1), bool)).shape == (1, 9, 5)


# === Where elements lie ===


def test_elements_may_lie_at_positions_of_their_own():
    points = layers.InputAdapter(streams.Embeddings(7, 3), positions=fourier(2))
    image = layers.InputAdapter(streams.Image(3, 5, patch=(1, 1)), positions=fourier(2))
    values = normal(1, 3, 5, 3)
    rows, columns = np.meshgrid(np.linspace(-1, 1, 3), np.linspace(-1, 1, 5), indexing="ij")
    places = np.stack([rows, columns], axis=-1).reshape(1, 15, 2).astype("float32")
    scattered = array(points(values.reshape(1, 15, 3), coordinates=places))
    np.testing.assert_allclose(scattered, array(image(values)), atol=1e-5)
    with pytest.raises(ValueError, match=r"must end with one number for each of 2 axes. .*\(1, 15, 1\)"):
        points(values.reshape(1, 15, 3), coordinates=places[..., :1])
    with pytest.raises(ValueError, match="`positions` of 2 axes tell the elements of a grid apart"):
        points(values.reshape(1, 15, 3))


def test_learned_positions_have_no_coordinates():
    adapter = layers.InputAdapter(streams.Embeddings(7, 3), positions=layers.LearnedArray(7, 3))
    with pytest.raises(ValueError, match="`coordinates` need FourierPositions"):
        adapter(normal(1, 7, 3), coordinates=normal(1, 7, 1))


def test_positions_do_not_widen_the_compute_dtype():
    positions = layers.FourierPositions(None, 2, (8, 8), dtype="float32")
    adapter = layers.InputAdapter(IMAGE, positions=positions, dtype="mixed_bfloat16")
    assert keras.backend.standardize_dtype(adapter(normal(1, 8, 12, 3)).dtype) == "bfloat16"


# === Any size ===

ADAPTERS = {
    "image": (
        lambda: layers.InputAdapter(IMAGE, positions=fourier(2)), (None, None, 3), [(8, 12, 3), (12, 8, 3)]
    ),
    "pixels": (
        lambda: layers.InputAdapter(IMAGE, stem=layers.PixelStem((4, 4), 5), positions=fourier(2)),
        (None, None, 3),
        [(8, 12, 3), (12, 8, 3)],
    ),
    "conv": (
        lambda: layers.InputAdapter(IMAGE, stem=layers.ConvStem(5), positions=fourier(2)),
        (None, None, 3),
        [(8, 12, 3), (12, 8, 3)],
    ),
    "frames": (
        lambda: layers.InputAdapter(
            streams.Video(2, 8, 12, patch=(2, 1, 1)),
            stem=layers.NeighbourhoodStem(3, 2, 5),
            positions=fourier(2),
        ),
        (2, None, None, 3),
        [(2, 8, 12, 3), (2, 12, 8, 3)],
    ),
    "frame_conv": (
        lambda: layers.InputAdapter(
            streams.Video(2, 8, 12, patch=(2, 4, 4)), stem=layers.FrameConvStem(5, 2), positions=fourier(2)
        ),
        (2, None, None, 3),
        [(2, 8, 12, 3), (2, 12, 8, 3)],
    ),
    "waveform": (
        lambda: layers.InputAdapter(streams.Waveform(20, (4,)), positions=fourier(1)), (None,), [(20,), (32,)]
    ),
    "learned": (
        lambda: layers.InputAdapter(streams.Waveform(20, (4,)), positions=layers.LearnedArray(5, 3)),
        (None,),
        [(20,), (12,)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_symbolic_input_may_be_of_any_size(name):
    make, unknown, _ = ADAPTERS[name]
    adapter = make()
    assert adapter.compute_output_spec(keras.KerasTensor((None, *unknown))).shape == (None, None, adapter.dim)


@pytest.mark.skipif(not TENSORFLOW, reason="other backends know every size when they trace")
@pytest.mark.parametrize("name", ADAPTERS)
def test_one_graph_takes_every_size(name):
    import tensorflow as tf

    make, unknown, sizes = ADAPTERS[name]
    adapter, mask = make(), tf.TensorSpec((None, None), tf.bool)
    adapter.build((None, *sizes[0]))
    graph = tf.function(
        lambda x, keep: adapter(x, keep=keep), input_signature=[tf.TensorSpec((None, *unknown)), mask]
    )
    for seed, size in enumerate(sizes):
        x = normal(2, *size, seed=seed)
        expected = array(adapter(x))
        keep = np.ones(expected.shape[:2], bool)
        np.testing.assert_allclose(array(graph(x, keep)), expected, atol=1e-4)
        keep[1, 2] = False
        np.testing.assert_allclose(array(graph(x, keep)), array(adapter(x, keep=keep)), atol=1e-4)
    assert graph.experimental_get_tracing_count() == 1
