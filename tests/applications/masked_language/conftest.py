"""A model and texts small enough for every test."""

import dataclasses

import pytest

from tests.piece_maker import write_piece_model
from zorro_keras.applications.masked_language.config import TINY
from zorro_keras.applications.masked_language.data import default_data, open_data
from zorro_keras.applications.masked_language.model import build_model


@pytest.fixture(scope="session")
def config():
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
    return default_data(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="session")
def data(text_path, config):
    return open_data(text_path, config)


@pytest.fixture(scope="session")
def model(config):
    return build_model(config)


@pytest.fixture(scope="session")
def piece_model(tmp_path_factory):
    return write_piece_model(tmp_path_factory.mktemp("pieces"))
