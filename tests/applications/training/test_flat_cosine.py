"""A learning rate with a plateau."""

import json
import math

import keras
import pytest

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training.config import TrainingConfig
from zorro_keras.applications.training.flat_cosine import FlatCosine
from zorro_keras.applications.training.optimizer import learning_rate_schedule


def rates(schedule, steps):
    return [float(keras.ops.convert_to_numpy(schedule(step))) for step in steps]


def test_the_published_recipe_is_flat_for_half_and_then_a_cosine_without_warm_up():
    config = TrainingConfig(learning_rate=2e-3, warmup_fraction=0.0, flat_fraction=0.5)
    schedule = learning_rate_schedule(config, 200)
    assert rates(schedule, [0, 1, 57, 100]) == pytest.approx([2e-3] * 4)
    assert rates(schedule, [125, 150, 200, 250]) == pytest.approx(
        [1e-3 * (1 + math.cos(math.pi / 4)), 1e-3, 0.0, 0.0], abs=1e-9
    )


def test_a_plateau_follows_the_same_warm_up():
    config = TrainingConfig(learning_rate=1.0, warmup_fraction=0.1)
    plain = learning_rate_schedule(config, 100)
    flat = FlatCosine(1.0, warmup_steps=10, flat_steps=30, total_steps=100)
    assert rates(flat, range(11)) == pytest.approx(rates(plain, range(11)), rel=1e-5)
    assert rates(flat, [10, 25, 40]) == pytest.approx([1.0] * 3)
    assert rates(flat, [70]) == pytest.approx([0.5])


def test_no_plateau_is_the_schedule_there_always_was():
    assert isinstance(learning_rate_schedule(TrainingConfig(), 100), keras.optimizers.schedules.CosineDecay)


def test_it_survives_json():
    schedule = FlatCosine(0.3, 2, 5, 11)
    config = json.loads(json.dumps(keras.optimizers.schedules.serialize(schedule)))
    again = keras.optimizers.schedules.deserialize(config)
    assert rates(again, range(12)) == rates(schedule, range(12))


def test_what_does_not_fit_is_refused():
    with pytest.raises(
        ValueError, match="leave steps for the cosine. Received: warmup_steps=3, flat_steps=8"
    ):
        FlatCosine(1.0, 3, 8, 11)
    with pytest.raises(ConfigError, match="`flat_fraction` must be within"):
        TrainingConfig(warmup_fraction=0.5, flat_fraction=0.5)
