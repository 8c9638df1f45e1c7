"""What every public layer promises, checked on each."""

import json

import keras
import numpy as np
import pytest
from keras import tree

from tests.backend import array
from zorro_keras import layers, streams

config = keras.saving.serialize_keras_object
FLOATS = np.random.default_rng(0).normal(size=(2, 5, 6)).astype("float32")
IMAGES = np.random.default_rng(0).normal(size=(2, 16, 32, 3)).astype("float32")
FRAMES = np.random.default_rng(0).normal(size=(2, 2, 5, 7, 3)).astype("float32")
GRID = np.random.default_rng(0).normal(size=(2, 5, 7, 6)).astype("float32")
VIDEO = streams.Video(frames=2, height_px=6, width_px=10, channels=3, patch=(1, 3, 5))
CASES = {
    "Attention": (
        layers.Attention,
        {"num_heads": 2, "head_dim": 3, "dropout_rate": 0.1, "output_dim": 7},
        FLOATS,
    ),
    "ClassificationHead": (layers.ClassificationHead, {"num_classes": 3}, FLOATS),
    "ContrastiveHeads": (
        layers.ContrastiveHeads,
        {"pairs": [["a", "b"], ["c", "a"]], "projection_dim": 7, "temperature": 0.2, "stopped": ["a_to_c"]},
        {"a": FLOATS[:, 0], "b": FLOATS[:, 1, :5], "c": FLOATS[:, 2]},
    ),
    "ConvStem": (layers.ConvStem, {"embed_dim": 7, "num_layers": 2}, IMAGES),
    "ConvexUpsampling": (
        layers.ConvexUpsampling,
        {"step": 2, "output_dim": 3, "hidden_dim": 11, "scale": 0.5},
        np.random.default_rng(0).normal(size=(2, 15, 6)).astype("float32"),
    ),
    "CrossAttentionBlock": (
        layers.CrossAttentionBlock,
        {
            "num_heads": 2,
            "query_key_dim": 10,
            "mlp_dim": 5,
            "dropout_rate": 0.1,
            "key_chunk": 2,
            "remat": True,
        },
        FLOATS,
    ),
    "FrameConvStem": (layers.FrameConvStem, {"embed_dim": 7, "frames": 2}, FRAMES),
    "EntityFeatures": (
        layers.EntityFeatures,
        {
            "features": [
                {"name": "kind", "kind": "categorical", "num_values": 3, "scale": 1.0},
                {"name": "tag", "kind": "ignored", "num_values": None, "scale": 1.0},
                {"name": "is_near", "kind": "binary", "num_values": None, "scale": 1.0},
                {"name": "x", "kind": "scaled", "num_values": None, "scale": 4.0},
            ],
            "embed_dim": 7,
        },
        np.array([[[0, 9, 1, 2.5], [2, 8, 0, 1]], [[1, 7, 1, 4], [1, 6, 1, 3]]], "float32"),
    ),
    "FourierPositions": (layers.FourierPositions, {"grid": [3, 5], "num_bands": 4}, FLOATS),
    "HierarchicalBlock": (
        layers.HierarchicalBlock,
        {
            "num_groups": {"a": 2},
            "num_latents": 3,
            "hidden_dim": 10,
            "num_layers": 1,
            "num_heads": 5,
            "num_train_latents": 3,
            "stochastic_depth_rate": 0.1,
            "remat": True,
        },
        {"a": FRAMES[..., 0, :]},
    ),
    "InputAdapter": (
        layers.InputAdapter,
        {
            "stream": streams.Image(16, 32, patch=(4, 4)),
            "stem": config(layers.PixelStem((4, 4), 7)),
            "positions": config(layers.FourierPositions((4, 8), 3)),
            "position_dim": 5,
        },
        IMAGES,
    ),
    "LearnedArray": (layers.LearnedArray, {"length": 3, "dim": 7}, FLOATS),
    "LearnedPositions": (layers.LearnedPositions, {"grid": [5]}, FLOATS),
    "LogMelSpectrogram": (
        layers.LogMelSpectrogram,
        {"sample_rate_hz": 8000, "num_bins": 7, "mean": -5.0, "std": 2.0},
        np.random.default_rng(0).uniform(-1, 1, size=(2, 880)).astype("float32"),
    ),
    "MLP": (layers.MLP, {"mlp_dim": 11}, FLOATS),
    "MaskedMean": (layers.MaskedMean, {}, FLOATS),
    "ModalityJoin": (layers.ModalityJoin, {"min_padding": 3}, {"a": FLOATS, "b": FLOATS[..., :4]}),
    "NeighbourhoodStem": (
        layers.NeighbourhoodStem,
        {"size": 3, "frames": 2, "embed_dim": 11},
        FRAMES,
    ),
    "FusionBlock": (
        layers.FusionBlock,
        {
            "sources": ["a"],
            "num_heads": 2,
            "mlp_dim": 11,
            "stochastic_depth_rate": 0.1,
            "remat": True,
        },
        (FLOATS, {"a": FLOATS[:, :3]}),
    ),
    "OneHot": (layers.OneHot, {"num_classes": 5}, np.array([[0, 4, 2], [1, 1, 3]], "int32")),
    "PatchMerging": (layers.PatchMerging, {"epsilon": 1e-4}, GRID),
    "PatchStem": (layers.PatchStem, {"patch": [4, 8], "embed_dim": 7}, IMAGES),
    "PerceiverDecoder": (
        layers.PerceiverDecoder,
        {"num_heads": 2, "output_dim": 7, "dropout_rate": 0.1, "query_chunk": 2},
        FLOATS,
    ),
    "PerceiverEncoder": (
        layers.PerceiverEncoder,
        {
            "num_latents": 3,
            "latent_dim": 8,
            "num_layers": 1,
            "num_repeats": 2,
            "num_heads": 4,
            "num_cross_heads": 2,
        },
        FLOATS,
    ),
    "PictureHead": (layers.PictureHead, {"scale": 0.5}, FLOATS),
    "PixelStem": (layers.PixelStem, {"step": [4, 8], "embed_dim": 7}, IMAGES),
    "PointerHead": (layers.PointerHead, {"key_dim": 3}, (FLOATS, FLOATS[:, 0])),
    "Readout": (layers.Readout, {"outputs": ["a", "b", "c"], "num_heads": 2, "mlp_dim": 5}, FLOATS),
    "SwinBlock": (
        layers.SwinBlock,
        {
            "num_heads": 2,
            "mlp_dim": 11,
            "window": [3, 2],
            "shifted": True,
            "stochastic_depth_rate": 0.1,
            "remat": True,
        },
        GRID,
    ),
    "TiedEmbedding": (
        layers.TiedEmbedding,
        {"stream": "text", "vocabulary_size": 7},
        (FLOATS, np.random.default_rng(1).normal(size=(7, 6)).astype("float32")),
    ),
    "TokenEmbedding": (
        layers.TokenEmbedding,
        {"input_dim": 5, "output_dim": 7},
        np.array([[0, 4, 2], [1, 1, 3]], "int32"),
    ),
    "Tokenizer": (
        layers.Tokenizer,
        {"stream": VIDEO, "hidden_dim": 7},
        np.random.default_rng(0).normal(size=(2, 2, 6, 10, 3)).astype("float32"),
    ),
    "TransformerBlock": (
        layers.TransformerBlock,
        {"num_heads": 2, "mlp_dim": 11, "dropout_rate": 0.1, "stochastic_depth_rate": 0.1, "remat": True},
        FLOATS,
    ),
    "WindowAttention": (
        layers.WindowAttention,
        {"num_heads": 3, "window": [3, 2], "shifted": True, "read_padding": True, "slice_index": True},
        GRID,
    ),
}

# What a call is told that is no array.
OPTIONS = {
    "ConvexUpsampling": {"grid": (1, 3, 5), "size": (5, 9)},
    "PictureHead": {"grid": (1, 5), "size": (1, 5)},
}

ATTENDING = {
    "Attention",
    "CrossAttentionBlock",
    "HierarchicalBlock",
    "PerceiverDecoder",
    "PerceiverEncoder",
    "FusionBlock",
    "Readout",
    "SwinBlock",
    "TransformerBlock",
    "WindowAttention",
}
ZERO_AT_START = {"ConvexUpsampling"}  # weights of zeros have no gradient: the values move first

FLOAT32_RESULTS = {"ContrastiveHeads"}  # embeddings go into a softmax

BFLOAT16_EPSILON = 2.0**-7
NOT_LAYERS = {"OutputAdapter"}
each_layer = pytest.mark.parametrize("name", sorted(set(layers.__all__) - NOT_LAYERS))


def make(name, **overrides):
    cls, arguments, x = CASES[name]
    return cls(**arguments, **overrides), x


def call(layer, x):
    """Calls a layer on an array, on a dict, or on several arguments."""
    options = OPTIONS.get(type(layer).__name__, {})
    return layer(*x, **options) if isinstance(x, tuple) else layer(x, **options)


def symbolic_inputs(x):
    if isinstance(x, dict):
        return {name: keras.Input(batch_shape=a.shape, name=name) for name, a in x.items()}
    return tree.map_structure(lambda a: keras.Input(batch_shape=a.shape), x)


@each_layer
def test_the_config_names_every_argument_and_rebuilds_the_layer(name):
    layer, x = make(name)
    config = layer.get_config()
    assert set(CASES[name][1]) <= set(config)
    rebuilt = type(layer).from_config(json.loads(json.dumps(config)))
    assert rebuilt.get_config() == config
    call(layer, x), call(rebuilt, x)
    rebuilt.set_weights(layer.get_weights())
    tree.map_structure(
        lambda new, old: np.testing.assert_array_equal(array(new), array(old)),
        call(rebuilt, x),
        call(layer, x),
    )


@each_layer
def test_the_symbolic_result_has_the_shape_and_dtype_of_the_real_one(name):
    layer, x = make(name)
    symbolic = call(layer, symbolic_inputs(x))
    real = call(layer, x)
    tree.assert_same_structure(symbolic, real)
    for drawn, computed in zip(tree.flatten(symbolic), tree.flatten(real), strict=True):
        assert tuple(drawn.shape) == tuple(computed.shape)
        assert drawn.dtype == keras.backend.standardize_dtype(computed.dtype)


@each_layer
def test_a_model_with_the_layer_trains_and_survives_saving(name, tmp_path):
    layer, x = make(name)
    inputs = symbolic_inputs(x)
    results = [keras.layers.Flatten()(result) for result in tree.flatten(call(layer, inputs))]
    model = keras.Model(inputs, keras.layers.Dense(1)(sum(results)))
    model.compile("sgd", "mse")
    before = [array(w) for w in layer.trainable_weights]
    model.train_on_batch(x, np.ones((2, 1)))
    moved = [bool((array(w) != b).any()) for w, b in zip(layer.trainable_weights, before, strict=True)]
    assert all(moved) or name in ATTENDING | ZERO_AT_START  # the bias of a key has no gradient
    assert any(moved) or not before
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict_on_batch(x), model.predict_on_batch(x), atol=1e-6)


@each_layer
def test_mixed_precision_computes_in_bfloat16_and_keeps_float32_weights(name):
    if name == "LogMelSpectrogram":
        pytest.skip("a front end is computed in float32 whatever the model computes in")
    layer, x = make(name, dtype="mixed_bfloat16")
    results = tree.flatten(call(layer, x))
    expected = "float32" if name in FLOAT32_RESULTS else "bfloat16"
    assert {keras.backend.standardize_dtype(result.dtype) for result in results} == {expected}
    assert {w.dtype for w in layer.trainable_weights} <= {"float32"}
    full, _ = make(name)
    call(full, x)
    full.set_weights(layer.get_weights())
    for half, whole in zip(results, tree.flatten(call(full, x)), strict=True):
        steps = 8 * BFLOAT16_EPSILON * np.abs(array(whole)).max()
        np.testing.assert_allclose(array(half), array(whole), atol=steps)


@each_layer
def test_building_leaves_nothing_unbuilt(name):
    layer, x = make(name)
    call(layer, x)
    assert [inner.name for inner in layer._flatten_layers() if not inner.built] == []


def test_every_public_layer_has_a_case():
    assert set(CASES) == set(layers.__all__) - NOT_LAYERS
