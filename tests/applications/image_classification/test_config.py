"""Configurations: each recipe is consistent and builds, and nonsense is refused by name."""

import dataclasses
import math

import pytest

from zorro_keras.applications.image_classification.config import (
    CONFIGS,
    AugmentationConfig,
    Config,
    DataConfig,
    ModelConfig,
)
from zorro_keras.applications.image_classification.model import build_model
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training.config import from_json, to_json
from zorro_keras.models.perceiver_io_variants import VARIANTS

CLASSES = [f"class {index}" for index in range(1000)]
PUBLISHED_PARAMETERS = {"paper_learned": 62_255_848, "paper_fourier": 48_440_627, "paper_conv": 48_646_522}


def resized(config, size_px, **sizes):
    return dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, size_px=size_px),
        model=dataclasses.replace(config.model, **sizes),
    )


def parameters(model):
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_recipe_survives_json(name):
    assert from_json(Config, to_json(CONFIGS[name])) == CONFIGS[name]


@pytest.mark.long
@pytest.mark.parametrize("name", PUBLISHED_PARAMETERS)
def test_recipe_a_builds_with_the_published_number_of_parameters(name):
    config = CONFIGS[name]
    # Sizes alone count here: one layer is run as often as eight.
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, num_repeats=1))
    assert parameters(build_model(config, CLASSES)) == PUBLISHED_PARAMETERS[name]


@pytest.mark.parametrize("name", PUBLISHED_PARAMETERS)
def test_recipe_a_is_the_papers(name):
    training, augmentation = CONFIGS[name].training, CONFIGS[name].data.augmentation
    assert (training.optimizer, training.learning_rate, training.epochs) == ("lamb", 5e-4 * 1024 / 256, 110)
    assert (training.warmup_fraction, training.flat_fraction * 110) == (0.0, 55)
    assert (training.weight_decay, training.clip_norm, training.label_smoothing) == (0.1, 10.0, 0.1)
    assert (training.batch_size, CONFIGS[name].data.size_px, CONFIGS[name].data.crop_fraction) == (
        1024, 224, 224 / 256,
    )  # fmt: skip
    assert (augmentation.crop_area, augmentation.crop_aspect) == ((0.08, 1.0), (3 / 4, 4 / 3))
    assert augmentation.flip_rate == 0.5
    assert (augmentation.rand_augment_layers, augmentation.rand_augment_magnitude) == (4, 5)
    assert augmentation.cutmix and augmentation.mixup_alpha == 0.2


LARGE = {"paper_fourier_large": 213_082_618, "paper_conv_large": 212_375_930}


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_config_b_has_the_published_number_of_parameters(name):
    """The paper says 212 million of both. The layers are alike: two builds tell what each adds."""
    models = [
        build_model(resized(CONFIGS[name], size_px=32, num_latents=4, num_layers=layers), CLASSES)
        for layers in (1, 2)
    ]
    assert all(model.backbone.encoder.num_repeats == 1 for model in models)
    one, two = map(parameters, models)
    sizes = VARIANTS[CONFIGS[name].model.variant][1]
    latents = (sizes["num_latents"] - 4) * sizes["latent_dim"]
    total = one + (sizes["num_layers"] - 1) * (two - one) + latents
    assert sizes["num_layers"] == 16 and total == LARGE[name] == pytest.approx(212e6, rel=0.01)


@pytest.mark.parametrize("name", LARGE)
def test_config_b_is_fine_tuned_as_in_the_paper(name):
    training, augmentation = CONFIGS[name].training, CONFIGS[name].data.augmentation
    assert training.learning_rate == {"paper_fourier_large": 2e-3, "paper_conv_large": 2e-4}[name]
    assert (training.optimizer, training.batch_size) == ("lamb", 1024)
    steps = training.epochs * training.steps_per_epoch
    assert (steps, training.flat_fraction * steps) == (131_000, pytest.approx(70_000))
    assert not augmentation.mixes and augmentation.rand_augment_layers == 0


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        (AugmentationConfig(), {"crop_area": (0.0, 1.0)}, "`crop_area` must be two numbers"),
        (AugmentationConfig(), {"crop_aspect": (2.0, 1.0)}, "`crop_aspect` must be two numbers"),
        (AugmentationConfig(), {"flip_rate": 1.5}, r"within \[0, 1\]. Received: flip_rate=1.5"),
        (AugmentationConfig(), {"rand_augment_magnitude": 11.0}, r"`rand_augment_magnitude` must be within"),
        (AugmentationConfig(), {"rand_augment_layers": -1}, "`rand_augment_layers` must be at least 0"),
        (AugmentationConfig(), {"mixup_alpha": float("nan")}, "`mixup_alpha` must be within"),
        (DataConfig(), {"size_px": 0}, "`size_px` must be at least 1"),
        (DataConfig(), {"crop_fraction": 1.1}, r"`crop_fraction` must be within \(0, 1\]"),
        (DataConfig(), {"std": (1.0, 0.0, 1.0)}, "`std` must be positive"),
        (DataConfig(), {"max_bad_fraction": 2.0}, "`max_bad_fraction` must be within"),
        (DataConfig(), {"test_fraction": 1.0}, "`test_fraction` must be within"),
        (ModelConfig("image_conv"), {"num_latents": 0}, "`num_latents` must be None or at least 1"),
        (ModelConfig("image_conv"), {"dropout_rate": 1.0}, "`dropout_rate` must be within"),
    ],
)
def test_nonsense_is_refused_by_name(part, changes, message):
    assert dataclasses.replace(part) == part
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(part, **changes)
