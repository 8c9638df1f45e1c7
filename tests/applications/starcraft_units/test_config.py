import dataclasses

import numpy as np
import pytest

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.starcraft_units.config import (
    CONFIGS,
    PAPER,
    PAPER_TRANSFORMER,
    TINY,
    TINY_TRANSFORMER,
    DataConfig,
    ModelConfig,
)
from zorro_keras.applications.starcraft_units.model import build_model
from zorro_keras.applications.training.config import from_json, to_json


@pytest.mark.parametrize("name", list(CONFIGS))
def test_a_configuration_survives_json(name):
    assert from_json(type(CONFIGS[name]), to_json(CONFIGS[name])) == CONFIGS[name]


@pytest.mark.parametrize("name", ["tiny", "tiny_transformer"])
def test_a_tiny_model_is_tiny(name):
    assert build_model(CONFIGS[name]).count_params() < 200_000


def test_the_two_encoders_are_trained_alike():
    assert TINY.data == TINY_TRANSFORMER.data and TINY.training == TINY_TRANSFORMER.training
    assert PAPER.data == PAPER_TRANSFORMER.data and PAPER.training == PAPER_TRANSFORMER.training


@pytest.mark.parametrize("name", ["paper", "paper_transformer"])
def test_a_paper_model_builds_with_the_published_sizes(name):
    model = build_model(CONFIGS[name])
    backbone = model.backbone
    assert backbone.streams["units"].shape == (512, 46)
    width = {"paper": 128, "paper_transformer": 256}[name]
    assert tuple(backbone.output["units"].shape) == (None, 512, width)
    if name == "paper":
        encoder = backbone.encoder
        assert (encoder.num_latents, encoder.num_layers, encoder.num_repeats) == (32, 3, 1)
    else:
        sizes = [
            (block.attention.num_heads, block.attention.head_dim, block.mlp_dim) for block in backbone.blocks
        ]
        assert sizes == [(2, 128, 1024)] * 3
    assert model.heads.unit_dense.units == model.heads.pooled_dense.units == 256
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == model.count_params()


def test_class_names_are_refused(config):
    with pytest.raises(ConfigError, match="Units are chosen, not classified"):
        build_model(config, ["ant"])
    with pytest.raises(ConfigError, match="`data.features` must be one of"):
        build_model(dataclasses.replace(config, data=DataConfig(features="nothing")))


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (DataConfig, {"num_units": 0}, "`num_units` must be at least 1"),
        (DataConfig, {"test_fraction": 1.0}, r"`test_fraction` must be within \(0, 1\)"),
        (ModelConfig, {"num_layers": 0}, "`num_layers` must be at least 1"),
        (ModelConfig, {"key_dim": 0}, "`key_dim` must be at least 1"),
        (ModelConfig, {"latent_dim": 9}, "`latent_dim` must be a multiple of `num_heads` = 8"),
        (ModelConfig, {"encoder": "transformer", "embed_dim": 9}, "`embed_dim` must be a multiple"),
        (ModelConfig, {"dropout_rate": 1.0}, "`dropout_rate`"),
    ],
)
def test_a_value_out_of_range_is_named(kind, values, message):
    with pytest.raises(ConfigError, match=message):
        kind(**values)
