"""What a step of training is given, told without data."""

from __future__ import annotations

from typing import Any

from zorro_keras.applications.image_classification.classifier import ImageClassifier
from zorro_keras.applications.image_classification.config import Config
from zorro_keras.applications.training.batch_shapes import class_names, floats, inputs_of

# The classes of the data that a configuration is made for: the generated pictures, else ImageNet.
CLASSES = {"tiny": 10}
IMAGENET_CLASSES = 1000


def label_names(name: str, config: Config, num_classes: int | None = None) -> tuple[str, ...]:
    """Returns names for the classes: as many as asked, or as the data have that `name` is made for."""
    return class_names(num_classes or CLASSES.get(name, IMAGENET_CLASSES))


def training_batch(config: Config, model: ImageClassifier, batch_size: int) -> tuple[Any, ...]:
    """Returns the shapes of what `training_dataset` yields: `(x, y, sample_weight)`."""
    return inputs_of(model, batch_size), floats(batch_size, model.num_classes), floats(batch_size)
