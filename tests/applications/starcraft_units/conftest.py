"""A model and battles small enough for every test."""

import dataclasses

import pytest

SMALL = {"embed_dim": 12, "num_layers": 1, "num_heads": 2, "mlp_dim": 8, "head_dim": 7, "key_dim": 5}


def small(config, **sizes):
    return dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, **SMALL, **sizes),
        training=dataclasses.replace(config.training, epochs=2, steps_per_epoch=3, batch_size=4),
    )


@pytest.fixture(scope="session")
def config():
    from zorro_keras.applications.starcraft_units.config import TINY

    return small(TINY, num_latents=3, latent_dim=8)


@pytest.fixture(scope="session")
def transformer_config():
    from zorro_keras.applications.starcraft_units.config import TINY_TRANSFORMER

    return small(TINY_TRANSFORMER)


@pytest.fixture(scope="session")
def battles(tmp_path_factory):
    from zorro_keras.applications.pipelines.battle_generated import generate_battles

    return generate_battles(tmp_path_factory.mktemp("battles"), count=29, test_count=11)


@pytest.fixture(scope="session")
def data(battles, config):
    from zorro_keras.applications.starcraft_units.data import open_data

    return open_data(battles, config)


@pytest.fixture(scope="session")
def model(config):
    from zorro_keras.applications.starcraft_units.model import build_model

    return build_model(config)
