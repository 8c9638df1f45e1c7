"""Opens the model of a run, or of a preset: whatever folder a person has."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path

import keras

from zorro_keras.applications.training.backend import precision, prepare_backend
from zorro_keras.applications.training.run import open_run
from zorro_keras.applications.training.task import task_of_preset


def open_model(folder: str | os.PathLike[str], kind: type[keras.Model] | None = None) -> keras.Model:
    """Returns a trained model in float32.

    Args:
        folder: of a run, or of a preset.
        kind: optional class of the task, for presets. By default the one that the preset names.

    Raises:
        ConfigError: if the folder holds neither.
        CheckpointError: if a run has no trained weights, or all of them are damaged.
    """
    if task_of_preset(folder) is None:
        return open_run(folder).task
    if kind is None:
        about = json.loads((Path(folder) / "task.json").read_text(encoding="utf-8"))
        kind = getattr(importlib.import_module(about["module"]), about["class_name"])
    prepare_backend()
    with precision(mixed=False):
        # To be asked, a model needs no optimizer: a fresh one would not take the state of the run's.
        return kind.from_preset(os.fspath(folder), compile=False)
