"""What a step of training is given, told without data."""

from __future__ import annotations

from typing import Any

from zorro_keras.applications.masked_autoencoding.autoencoder import MaskedClipAutoencoder
from zorro_keras.applications.masked_autoencoding.config import Config
from zorro_keras.applications.training.batch_shapes import clips_of


def training_batch(config: Config, model: MaskedClipAutoencoder, batch_size: int) -> tuple[Any, ...]:
    """Returns the shapes of what `training_dataset` yields: `(x,)`."""
    return (clips_of(model, batch_size, model.backbone.streams),)
