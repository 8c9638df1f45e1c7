"""Opens the model of a run, or of a preset: whatever folder a person has."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_hub

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training.backend import precision, prepare_backend
from zorro_keras.applications.training.run import Run, open_run
from zorro_keras.applications.training.run_folder import RunFolder
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


def open_measured(
    folder: str | os.PathLike[str],
    kind: type[keras.Model],
    config_of_preset: Callable[[keras_hub.models.Preprocessor], Any],
) -> Run:
    """Returns a run; for a preset one that knows no data it was trained on, so that data can measure it.

    Args:
        folder: of a run, or of a preset.
        kind: class of the task.
        config_of_preset: returns the task's `Config` for the preprocessor of a preset.

    Raises:
        ConfigError: if the folder holds neither, or a preset without a preprocessor, or is that of a run.
        CheckpointError: if a run has no trained weights, or all of them are damaged.
    """
    name = task_of_preset(folder)
    if name is None:
        return open_run(folder)
    if (run := RunFolder(Path(folder).resolve().parent)).config_file.exists() and run.preset.exists():
        raise ConfigError(
            "The preset of a run does not know what the run was trained on.",
            path=folder, stage="open_run", reason="bad_value", advice=f"Give the run: {run.path}",
        )  # fmt: skip
    task = open_model(folder, kind)
    if task.preprocessor is None:
        raise ConfigError(
            "The preset has no preprocessor: nothing says how to read data for it.",
            path=folder, stage="open_run", reason="bad_value",
            advice="Save a task that was made with its preprocessor.",
        )  # fmt: skip
    task.compile()  # as a run's model is
    label_names = tuple(getattr(task.preprocessor, "label_names", ()))
    return Run(RunFolder(folder), name, config_of_preset(task.preprocessor), label_names, "", (), task)
