"""What a step of training is given, told without data."""

from __future__ import annotations

from typing import Any

from zorro_keras.applications.starcraft_units.config import Config
from zorro_keras.applications.starcraft_units.unit_selector import UnitSelector
from zorro_keras.applications.training.batch_shapes import flags, floats


def training_batch(config: Config, model: UnitSelector, batch_size: int) -> tuple[Any, ...]:
    """Returns the shapes of what `training_dataset` yields: `(x, y, sample_weight)`."""
    num_units = config.data.num_units
    shape = (batch_size * num_units, 1) if config.data.alone else (batch_size, num_units)
    num_features = model.input["units"].shape[-1]
    x = {"units": floats(*shape, num_features), "padding_mask": {"units": flags(*shape)}}
    return x, floats(*shape), floats(*shape)
