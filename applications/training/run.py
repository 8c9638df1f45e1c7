"""Opens a run for use: its model with trained weights, configuration and label names."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

import keras

from zorro_keras.applications.pipelines.faults import CheckpointError, ConfigError
from zorro_keras.applications.training import checkpoint
from zorro_keras.applications.training.backend import precision, prepare_backend
from zorro_keras.applications.training.config import from_json
from zorro_keras.applications.training.run_folder import RunFolder
from zorro_keras.applications.training.task import task_module


@dataclasses.dataclass(frozen=True)
class Run:
    """A run, finished or not.

    Args:
        folder: where its files are.
        task_name: the package it was trained with.
        config: the task's `Config`.
        label_names: class names in the order of the outputs; empty for a task without classes.
        data_fingerprint: of the data it was trained on.
        history: rows of `log.jsonl` up to the weights loaded; empty when they come from the preset.
        task: the model, in float32, with the trained weights (the averaged ones where the run kept them).
    """

    folder: RunFolder
    task_name: str
    config: Any
    label_names: tuple[str, ...]
    data_fingerprint: str
    history: tuple[Mapping[str, Any], ...]
    task: keras.Model

    def check_new(self, data: Any, path: str | os.PathLike[str]) -> None:
        """Refuses to measure on the whole of data that the run was trained on.

        Raises:
            ConfigError: if these are the data.
        """
        if data.fingerprint == self.data_fingerprint:
            raise ConfigError(
                "`whole` must be False for the data that the run was trained on. Received: whole=True",
                path=path, stage="evaluate", reason="bad_value",
                advice="Leave `--whole` out: what was held out is measured.",
            )  # fmt: skip


def open_run(run_dir: str | os.PathLike[str], *, say: Callable[[str], None] = print) -> Run:
    """Loads a run from its newest whole checkpoint, or from `preset/` without one, on any backend.

    Args:
        run_dir: folder `train` wrote.
        say: is told about damaged checkpoints that are passed over.

    Raises:
        ConfigError: if the folder holds no run.
        CheckpointError: if it holds no trained weights, or all of them are damaged.
    """
    prepare_backend()
    folder = RunFolder(run_dir)
    about = folder.read_config()
    name, label_names = about["task"], tuple(about["data"]["label_names"])
    config = from_json(task_module(name, "config").Config, about["config"])
    found = checkpoint.newest(folder.checkpoints, say=say)
    module = task_module(name, "model")
    with precision(mixed=False):
        if found is not None:
            model = module.build_model(config, label_names)
            checkpoint.restore_weights(found, model)
        elif folder.preset.exists():
            # keras-hub loads a preset through the task's own class only.
            model = type(module.build_model(config, label_names)).from_preset(str(folder.preset))
        else:
            raise CheckpointError(
                "The run has no checkpoint yet: no epoch has ended.",
                path=folder.path, stage="open_run", reason="missing_file",
                advice="Train until the first epoch has ended.",
            )  # fmt: skip
    history = tuple(found.state["history"]) if found is not None else ()
    return Run(folder, name, config, label_names, about["data"]["fingerprint"], history, model)
