"""A layer in several places of a model is one layer, also after saving."""

import json

import keras
import numpy as np
import pytest

from tests.backend import array
from zorro_keras import layers, streams
from zorro_keras.models import PerceiverIOBackbone


@pytest.fixture(scope="module")
def model():
    """Two cameras with one adapter; a text whose positions ask for it; a head of two outputs."""
    camera = layers.InputAdapter(streams.Image(4, 6, patch=(2, 2)), 5, positions=layers.LearnedArray(6, 3))
    places, head = layers.LearnedArray(7, 4), keras.layers.Dense(2)
    return PerceiverIOBackbone(
        {
            "left": camera,
            "right": camera,
            "text": layers.InputAdapter(streams.Tokens(7, 11), 4, positions=places, join="add"),
        },
        layers.PerceiverEncoder(num_latents=3, latent_dim=8, num_layers=1, num_heads=2),
        {
            "text": layers.OutputAdapter(places, head),
            "places": layers.OutputAdapter(layers.LearnedArray(2, 4), head),
        },
        layers.PerceiverDecoder(),
    )


def given():
    images = {
        name: np.random.default_rng(seed).normal(size=(2, 4, 6, 3)).astype("float32")
        for seed, name in enumerate(("left", "right"))
    }
    return {**images, "text": np.arange(14).reshape(2, 7) % 11}


def check(rebuilt, model):
    inputs, outputs = rebuilt.input_adapters, rebuilt.output_adapters
    assert inputs["left"] is inputs["right"]
    assert inputs["text"].positions is outputs["text"].queries
    assert outputs["text"].head is outputs["places"].head
    assert outputs["places"].queries is not outputs["text"].queries
    assert [tuple(w.shape) for w in rebuilt.weights] == [tuple(w.shape) for w in model.weights]


def test_shared_parts_come_back_as_one_from_plain_data(model):
    config = json.loads(json.dumps(model.get_config()))
    assert config["input_adapters"]["right"] == {"same_as": "input_adapters.left"}
    rebuilt = PerceiverIOBackbone.from_config(config)
    check(model, model)
    check(rebuilt, model)
    assert json.loads(json.dumps(rebuilt.get_config())) == config


@pytest.mark.slow
def test_shared_parts_come_back_as_one_from_a_preset(model, tmp_path):
    model.save_to_preset(str(tmp_path / "preset"))
    loaded = PerceiverIOBackbone.from_preset(str(tmp_path / "preset"))
    check(loaded, model)
    found, expected = loaded(given()), model(given())
    for name, answer in expected.items():
        np.testing.assert_allclose(array(found[name]), array(answer), atol=1e-6)


@pytest.mark.slow
def test_the_parts_of_a_trained_model_go_on_with_its_joins(tmp_path):
    def text(width=4):
        return layers.InputAdapter(streams.Tokens(7, 11), width)

    def label(width):
        return layers.OutputAdapter(layers.LearnedArray(2, width))

    image = layers.InputAdapter(streams.Image(4, 6, patch=(2, 2)))
    encoder = layers.PerceiverEncoder(num_latents=3, latent_dim=8, num_layers=1, num_heads=2)
    inputs, outputs = {"text": text(), "image": image}, {"a": label(3), "b": label(5)}
    old = PerceiverIOBackbone(
        inputs, encoder, outputs, layers.PerceiverDecoder(), input_padding=1, mask_rates={"image": 0.5}
    )
    new = PerceiverIOBackbone(
        inputs, encoder, outputs, old.decoder, input_join=old.input_join, query_join=old.query_join
    )
    x = {"text": np.arange(14).reshape(2, 7) % 11, "presence": {"text": np.array([True, False])}}
    for name, answer in old(x).items():
        np.testing.assert_array_equal(array(new(x)[name]), array(answer))
    new.save(tmp_path / "new.keras")
    loaded = keras.saving.load_model(tmp_path / "new.keras")
    for name, answer in old(x).items():
        np.testing.assert_allclose(array(loaded(x)[name]), array(answer), atol=1e-6)

    further = {"input_join": old.input_join}
    PerceiverIOBackbone(inputs, encoder, {"c": label(3)}, layers.PerceiverDecoder(), **further)
    with pytest.raises(ValueError, match=r"`input_join` must be of a model with just \['image'\]"):
        PerceiverIOBackbone({"image": image}, encoder, outputs, old.decoder, **further)
    with pytest.raises(ValueError, match=r"`elements` must be of the channels .*'text': 4.*: text=5"):
        PerceiverIOBackbone({"text": text(5), "image": image}, encoder, outputs, old.decoder, **further)
