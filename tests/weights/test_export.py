"""A model that transformers cannot compute is not exported, and what differs is named."""

import functools
import json
import os

import keras
import numpy as np
import pytest

from tests.backend import array
from tests.weights.files import tensors
from zorro_keras import layers, streams, weights
from zorro_keras.models import PerceiverIOBackbone
from zorro_keras.weights import Checkpoint
from zorro_keras.weights.load import variable_at

SIZES = {
    "language": {
        "embed_dim": 16, "decoder_query_key_dim": 256, "decoder_value_dim": 16, "decoder_mlp_dim": 16,
        "length": 7, "vocabulary_size": 11,
    },
    "text_classification": {"embed_dim": 16, "length": 7, "vocabulary_size": 11},
    "image_learned": {
        "embed_dim": 256, "position_dim": 256, "code_dim": 256, "context_dim": 512, "channels": 3,
        "num_pixels": 49,
    },
    "image_fourier": {"context_dim": 261},
    "image_conv": {"embed_dim": 64, "context_dim": 322, "channels": 3},
}  # fmt: skip


@functools.cache
def backbone_of(model):
    """Returns a tiny model as transformers has it."""
    return weights.convert(Checkpoint.recognise(tensors(model=model, **SIZES[model]))).backbone


@pytest.mark.parametrize("model", SIZES)
def test_what_is_written_reads_back_as_it_was(model, tmp_path):
    backbone = backbone_of(model)
    weights.save_hugging_face(backbone, tmp_path / "folder")
    again, report = weights.convert(weights.read_checkpoint(tmp_path / "folder"))
    assert report.model == model
    assert report.settings["num_repeats"].source == "config.json"
    for ours, theirs in zip(again.weights, backbone.weights, strict=True):
        np.testing.assert_array_equal(array(ours), array(theirs))


def test_the_dropout_of_attention_comes_from_their_config_and_goes_back(tmp_path):
    theirs = Checkpoint.recognise(
        tensors(model="image_fourier", **SIZES["image_fourier"]), {"attention_probs_dropout_prob": 0.1}
    )
    backbone, report = weights.convert(theirs)
    assert report.settings["attention_dropout_rate"] == (0.1, "config.json")
    attention = backbone.encoder.blocks[0].attention, backbone.decoder.cross_attention.attention
    assert [each.dropout_rate for each in attention] == [0.1, 0.1]
    weights.save_hugging_face(backbone, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["attention_probs_dropout_prob"] == 0.1


@pytest.mark.parametrize("wrong", [[], [""], [2], ["one", "more"]])
def test_labels_must_be_the_names_of_the_classes(wrong, tmp_path):
    backbone = backbone_of("image_fourier")
    (num_classes,) = backbone.output_adapters["label"].head.dense.bias.shape
    names = [f"name {label}" for label in range(num_classes - 1)]
    message = f"`labels` must be {num_classes} names, one for each class. Received: "
    with pytest.raises(weights.WeightsError, match=message):
        weights.save_hugging_face(backbone, tmp_path, [*names, *wrong])
    with pytest.raises(weights.WeightsError, match=message):
        weights.save_hugging_face(backbone, tmp_path, "n" * num_classes)
    with pytest.raises(weights.WeightsError, match="`labels` must be 0 names"):
        weights.save_hugging_face(backbone_of("language"), tmp_path, ["one"])
    assert not os.listdir(tmp_path)


IMAGE, TEXT = "input_adapters.image", "input_adapters.text"
# Model, part, its attribute, another value, and what the error says.
DIFFERENCES = [
    ("image_fourier", "encoder", "epsilon", 1e-6, "encoder.epsilon=1e-06 instead of 1e-05"),
    ("image_fourier", "decoder", "epsilon", 1e-3, "decoder.epsilon=0.001 instead of 1e-05"),
    ("image_fourier", "encoder", "dropout_rate", 0.1, "encoder.dropout_rate=0.1 instead of 0.0"),
    ("image_fourier", "decoder", "dropout_rate", 0.1, "decoder.dropout_rate=0.1 instead of 0.0"),
    ("image_fourier", "decoder", "attention_dropout_rate", 0.1, "decoder.attention_dropout_rate=0.1 instead"),
    ("image_fourier", "encoder", "activation", keras.activations.mish, "`encoder.activation` must be one of"),
    ("image_fourier", "encoder", "activation", keras.activations.relu, "decoder.activation=gelu instead of"),
    ("image_fourier", "decoder", "num_heads", 2, "decoder.num_heads=2 instead of 1"),
    ("image_fourier", "decoder", "query_residual", False, "decoder.query_residual=False instead of True"),
    ("image_fourier", "output_adapters.label.head", "activation", keras.activations.softmax,
     "output_adapters.label.head.activation=softmax instead of linear"),
    ("image_fourier", f"{IMAGE}.positions", "endpoint", False, "positions.endpoint=False instead of True"),
    ("image_fourier", f"{IMAGE}.positions", "max_resolution", (9, 9), "max_resolution=\\[9, 9\\] instead of"),
    ("image_fourier", f"{IMAGE}.positions", "num_bands", 32, f"{IMAGE}.positions.num_bands=32 instead of 64"),
    ("image_conv", f"{IMAGE}.stem", "semantics", "deepmind", f"{IMAGE}.stem.semantics=deepmind instead of"),
    ("image_learned", IMAGE, "position_dim", None, f"{IMAGE}.position_dim=None instead of 256"),
    ("image_learned", IMAGE, "join", "add", f"{IMAGE}.join=add instead of concat"),
    ("image_learned", IMAGE, "stream", streams.Image(1, 49, 3, patch=(1, 1)), "pictures of 1 x 49 pixels"),
    ("language", TEXT, "stream", streams.Tokens(6, 11), f"{TEXT}.stream.length=6 instead of 7"),
    ("language", "decoder", "num_heads", 4, "decoder.num_heads=4 instead of 8"),
    ("language", "decoder", "query_residual", True, "decoder.query_residual=True instead of False"),
    ("text_classification", "decoder", "query_residual", False, "decoder.query_residual=False instead"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "part", "attribute", "value", "message"), DIFFERENCES)
def test_a_setting_that_transformers_has_not_is_named(
    model, part, attribute, value, message, tmp_path, monkeypatch
):
    """Positive controls: without the change each of these models is written."""
    backbone = backbone_of(model)
    monkeypatch.setattr(variable_at(backbone, part), attribute, value)
    with pytest.raises(weights.WeightsError, match=message):
        weights.save_hugging_face(backbone, tmp_path)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("model", "sizes", "message"),
    [
        ("image_fourier", {"context_dim": 13}, "context_dim=13 instead of 261"),
        ("image_fourier", {"self_mlp_dim": 12}, "self_mlp_dim=12 instead of a multiple of 8"),
        ("image_fourier", {"decoder_mlp_dim": 16}, "decoder_mlp_dim=16 instead of 8"),
        ("image_fourier", {"query_dim": 16}, "query_dim=16 instead of 8"),
        ("language", {"decoder_query_key_dim": 8}, "decoder_query_key_dim=8 instead of 256"),
        ("language", {"decoder_value_dim": 8}, "decoder_value_dim=8 instead of 16"),
    ],
)
def test_a_width_that_transformers_has_not_is_named(model, sizes, message, tmp_path):
    arrays = tensors(model=model, **{**SIZES[model], **sizes})
    backbone = weights.convert(Checkpoint.recognise(arrays)).backbone
    with pytest.raises(weights.WeightsError, match=message):
        weights.save_hugging_face(backbone, tmp_path)


def image_model(**adapter):
    """Returns a classifier of 13 x 11 pictures, in Hugging Face's form but for what its input adapter has."""
    return PerceiverIOBackbone(
        {"image": layers.InputAdapter(streams.Image(13, 11, patch=(1, 1)), **adapter)},
        layers.PerceiverEncoder(3, 8, 1, activation="gelu"),
        {"label": layers.OutputAdapter(layers.LearnedArray(1, 8), layers.ClassificationHead(5))},
        layers.PerceiverDecoder(query_residual=True, activation="gelu"),
    )


def test_weights_without_a_place_in_transformers_are_named(tmp_path):
    codes = layers.FourierPositions((13, 11), 64, (224, 224))
    backbone = image_model(positions=codes, position_dim=258)
    with pytest.raises(weights.WeightsError, match="ClassificationFourier.*position_projection"):
        weights.save_hugging_face(backbone, tmp_path)


def test_other_inputs_and_outputs_are_refused(tmp_path):
    backbone = image_model()
    with pytest.raises(weights.WeightsError, match="context_dim=3 instead of 261"):
        weights.save_hugging_face(backbone, tmp_path)
    other = PerceiverIOBackbone(
        {"picture": backbone.input_adapters["image"]},
        backbone.encoder,
        backbone.output_adapters,
        backbone.decoder,
    )
    with pytest.raises(weights.WeightsError, match="Received: inputs \\['picture'\\], outputs \\['label'\\]"):
        weights.save_hugging_face(other, tmp_path)
