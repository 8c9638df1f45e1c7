"""What every public layer promises, checked on each."""

import json

import keras
import numpy as np
import pytest

from tests.backend import array
from zorro_keras import layers, streams

FLOATS = np.random.default_rng(0).normal(size=(2, 5, 6)).astype("float32")
VIDEO = streams.Video(frames=2, height_px=6, width_px=10, channels=3, patch=(1, 3, 5))
CASES = {
    "Attention": (
        layers.Attention,
        {"num_heads": 2, "head_dim": 3, "dropout_rate": 0.1, "output_dim": 7},
        FLOATS,
    ),
    "LearnedArray": (layers.LearnedArray, {"length": 3, "dim": 7}, FLOATS),
    "LearnedPositions": (layers.LearnedPositions, {"grid": [5]}, FLOATS),
    "LogMelSpectrogram": (
        layers.LogMelSpectrogram,
        {"sample_rate_hz": 8000, "num_bins": 7, "mean": -5.0, "std": 2.0},
        np.random.default_rng(0).uniform(-1, 1, size=(2, 880)).astype("float32"),
    ),
    "MLP": (layers.MLP, {"mlp_dim": 11}, FLOATS),
    "Readout": (layers.Readout, {"outputs": ["a", "b", "c"], "num_heads": 2, "mlp_dim": 5}, FLOATS),
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
}

each_layer = pytest.mark.parametrize("name", layers.__all__)


def make(name, **overrides):
    cls, arguments, x = CASES[name]
    return cls(**arguments, **overrides), x


@each_layer
def test_the_config_names_every_argument_and_rebuilds_the_layer(name):
    layer, x = make(name)
    config = layer.get_config()
    assert set(CASES[name][1]) <= set(config)
    rebuilt = type(layer).from_config(json.loads(json.dumps(config)))
    assert rebuilt.get_config() == config
    layer(x), rebuilt(x)
    rebuilt.set_weights(layer.get_weights())
    np.testing.assert_array_equal(array(rebuilt(x)), array(layer(x)))


@each_layer
def test_the_symbolic_result_has_the_shape_and_dtype_of_the_real_one(name):
    layer, x = make(name)
    symbolic = layer(keras.Input(batch_shape=x.shape))
    real = layer(x)
    assert tuple(symbolic.shape) == tuple(real.shape)
    assert symbolic.dtype == keras.backend.standardize_dtype(real.dtype)


@each_layer
def test_a_model_with_the_layer_trains_and_survives_saving(name, tmp_path):
    layer, x = make(name)
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(layer(inputs))))
    model.compile("sgd", "mse")
    before = [array(w) for w in layer.trainable_weights]
    model.fit(x, np.ones((len(x), 1)), verbose=0)
    moved = [bool((array(w) != b).any()) for w, b in zip(layer.trainable_weights, before, strict=True)]
    assert all(moved) or name in {"Attention", "TransformerBlock", "Readout"}  # a key's bias has no gradient
    assert any(moved) or not before
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)


@each_layer
def test_mixed_precision_computes_in_bfloat16_and_keeps_float32_weights(name):
    if name == "LogMelSpectrogram":
        pytest.skip("a front end is computed in float32 whatever the model computes in")
    layer, x = make(name, dtype="mixed_bfloat16")
    result = layer(x)
    assert keras.backend.standardize_dtype(result.dtype) == "bfloat16"
    assert {w.dtype for w in layer.trainable_weights} == {"float32"}
    full, _ = make(name)
    full(x)
    full.set_weights(layer.get_weights())
    np.testing.assert_allclose(array(result), array(full(x)), atol=0.06)


@each_layer
def test_building_leaves_nothing_unbuilt(name):
    layer, x = make(name)
    layer(x)
    assert [inner.name for inner in layer._flatten_layers() if not inner.built] == []


def test_every_public_layer_has_a_case():
    assert sorted(CASES) == sorted(layers.__all__)
