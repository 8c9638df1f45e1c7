"""A model and texts small enough for every test."""

import dataclasses

import pytest


@pytest.fixture(scope="session")
def config():
    from zorro_keras.applications.masked_language.config import TINY

    return dataclasses.replace(
        TINY,
        data=dataclasses.replace(TINY.data, length=24, max_test_rows=10),
        model=dataclasses.replace(
            TINY.model, embed_dim=12, num_latents=5, latent_dim=16, num_layers=1, num_heads=2, query_key_dim=8
        ),
        training=dataclasses.replace(TINY.training, epochs=2, steps_per_epoch=3, batch_size=4),
    )


@pytest.fixture(scope="session")
def text_path(tmp_path_factory):
    from zorro_keras.applications.masked_language.data import default_data

    return default_data(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="session")
def data(text_path, config):
    from zorro_keras.applications.masked_language.data import open_data

    return open_data(text_path, config)


@pytest.fixture(scope="session")
def model(config):
    from zorro_keras.applications.masked_language.model import build_model

    return build_model(config)


@pytest.fixture(scope="session")
def piece_model(tmp_path_factory):
    from tests.piece_maker import write_piece_model

    return write_piece_model(tmp_path_factory.mktemp("pieces"))
