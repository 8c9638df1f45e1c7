"""What a step of training is given, told without data."""

from __future__ import annotations

from typing import Any

from zorro_keras.applications.text_classification.classifier import TextClassifier
from zorro_keras.applications.text_classification.config import Config
from zorro_keras.applications.text_classification.glue_tasks import GLUE_TASKS
from zorro_keras.applications.training.batch_shapes import class_names, flags, floats, integers

# The tasks of the data that a configuration is made for, where it does not choose them: those that are
# generated, else one of GLUE's.
TASKS = {"tiny": ("CoLA", "SST-2"), "tiny_pretrained": ("CoLA", "SST-2")}
ONE_TASK = ("RTE",)


def label_names(name: str, config: Config, num_classes: int | None = None) -> tuple[str, ...]:
    """Returns labels as `task/label`: one task of so many classes, or the tasks that `name` is made for."""
    if num_classes is not None:
        return tuple(f"text/{label}" for label in class_names(num_classes))
    tasks = config.data.tasks or TASKS.get(name, ONE_TASK)
    return tuple(f"{task}/{label}" for task in tasks for label in GLUE_TASKS[task].label_names)


def training_batch(config: Config, model: TextClassifier, batch_size: int) -> tuple[Any, ...]:
    """Returns the shapes of what `training_dataset` yields: `(x, y, sample_weight)`."""
    shape = (batch_size, config.data.length)
    x = {"text": integers(*shape), "padding_mask": {"text": flags(*shape)}}
    y = {
        task: floats(batch_size) if count == 1 else integers(batch_size)
        for task, count in model.num_outputs.items()
    }
    return x, y, {task: floats(batch_size) for task in y}
