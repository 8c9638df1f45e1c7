"""What a step of training is given, told without data."""

from __future__ import annotations

from typing import Any

from zorro_keras.applications.optical_flow.config import Config
from zorro_keras.applications.optical_flow.optical_flow import OpticalFlow
from zorro_keras.applications.training.batch_shapes import floats, inputs_of


def training_batch(config: Config, model: OpticalFlow, batch_size: int) -> tuple[Any, ...]:
    """Returns the shapes of what `training_dataset` yields: `(x, y, sample_weight)`."""
    size_px = config.data.size_px
    return inputs_of(model, batch_size), floats(batch_size, *size_px, 2), floats(batch_size, *size_px)
