"""Configurations: the recipe is the published one, each is consistent, and nonsense is refused by name."""

import dataclasses

import pytest

from zorro_keras.applications.optical_flow.config import (
    CONFIGS,
    AugmentationConfig,
    Config,
    DataConfig,
    ModelConfig,
)
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training.config import apply_overrides, from_json, to_json
from zorro_keras.models.perceiver_io_variants import VARIANTS

PAPER = [name for name in CONFIGS if name != "tiny"]


@pytest.mark.parametrize("name", CONFIGS)
def test_every_configuration_survives_json_and_names_a_variant(name):
    config = CONFIGS[name]
    assert from_json(Config, to_json(config)) == config
    settings = VARIANTS[config.model.variant][1]
    assert set(config.model.sizes()) <= set(settings) and "size_px" in settings


@pytest.mark.parametrize("name", PAPER)
def test_the_recipe_is_the_published_one(name):
    training, data = CONFIGS[name].training, CONFIGS[name].data
    assert (training.optimizer, training.learning_rate, training.batch_size) == ("lamb", 4e-4, 512)
    assert (training.epochs, training.warmup_fraction, training.flat_fraction) == (480, 0.0, 0.0)
    assert (data.size_px, data.flow_scale) == ((368, 496), 20.0)
    assert data.augmentation.plain_fraction > 0
    assert CONFIGS[name].model.sizes() == {}  # the variant's own


def test_every_row_of_the_table_has_a_configuration():
    assert len({CONFIGS[name].model.variant for name in PAPER}) == len(PAPER) == 7


def test_a_pair_is_shown_both_ways_in_an_even_batch_only():
    with pytest.raises(ConfigError, match="`training.batch_size` must be even while"):
        apply_overrides(CONFIGS["tiny"], ["training.batch_size=5"])
    without = apply_overrides(
        CONFIGS["tiny"], ["data.augmentation.plain_fraction=0.0", "training.batch_size=5"]
    )
    assert without.training.batch_size == 5


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        (AugmentationConfig(), {"scale": (0.5, 0.1)}, "`scale` must be two numbers"),
        (AugmentationConfig(), {"stretch": -0.1}, "`stretch` must be within"),
        (AugmentationConfig(), {"mirror_x_rate": 1.5}, r"within \[0, 1\]. Received: mirror_x_rate=1.5"),
        (AugmentationConfig(), {"plain_fraction": float("nan")}, "`plain_fraction` must be within"),
        (AugmentationConfig(), {"contrast": 1.0}, "`contrast` must be within"),
        (AugmentationConfig(), {"hue": 0.6}, "`hue` must be within"),
        (AugmentationConfig(), {"erase_sides": (0.0, 0.5)}, "`erase_sides` must be two numbers"),
        (DataConfig(), {"size_px": (3, 64)}, "`size_px` must be two numbers, at least 4"),
        (DataConfig(), {"flow_scale": 0.0}, "`flow_scale` must be positive"),
        (DataConfig(), {"test_fraction": 1.1}, "`test_fraction` must be within"),
        (DataConfig(), {"num_workers": 0}, "`num_workers` must be at least 1"),
        (ModelConfig("optical_flow"), {"num_latents": 0}, "`num_latents` must be None or at least 1"),
        (ModelConfig("optical_flow"), {"dropout_rate": 1.0}, "`dropout_rate` must be within"),
    ],
)
def test_nonsense_is_refused_by_name(part, changes, message):
    assert dataclasses.replace(part) == part
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(part, **changes)
