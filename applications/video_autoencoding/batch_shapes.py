"""What a step of training is given, told without data."""

from __future__ import annotations

from typing import Any

from zorro_keras.applications.training.batch_shapes import class_names, clips_of, floats, integers
from zorro_keras.applications.video_autoencoding.autoencoder import VideoAutoencoder
from zorro_keras.applications.video_autoencoding.config import Config

# The classes of the data that a configuration is made for: the generated clips, else Kinetics-700.
CLASSES = {"tiny": 8}
KINETICS_CLASSES = 700


def label_names(name: str, config: Config, num_classes: int | None = None) -> tuple[str, ...]:
    """Returns names for the classes: as many as asked, or as the data have that `name` is made for."""
    return class_names(num_classes or CLASSES.get(name, KINETICS_CLASSES))


def training_batch(config: Config, model: VideoAutoencoder, batch_size: int) -> tuple[Any, ...]:
    """Returns the shapes of what `training_dataset` yields: `(x, y)`."""
    points = config.data.points
    x = clips_of(model, batch_size, ("audio", "image"))
    rows = {name: integers(count) for name, count in points.items()}
    return {**x, "rows": rows}, floats(batch_size, model.num_classes)
