"""Finds the modules of a task by its name."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from zorro_keras.applications.pipelines.faults import ConfigError

PACKAGE = "zorro_keras.applications"
TASKS = ("audio_visual_classification",)


def task_module(task: str, part: str) -> ModuleType:
    """The module `config`, `data` or `model` of a task.

    A task is a package with three modules. `config` holds the frozen dataclass `Config`, with a field
    `training`, and `CONFIGS` by name. `data` holds `open_data(path, config)`, `training_dataset(data,
    config, preprocessor, *, start_step, faults_path)` and `evaluation_dataset(data, config, preprocessor, *,
    faults_path)`. `model` holds `build_model(config, label_names)` and may hold `epoch_metrics(predictions,
    y, sample_weight)`.

    Raises:
        ConfigError: if there is no such task.
    """
    name = f"{PACKAGE}.{task}.{part}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise
        nearest = difflib.get_close_matches(task, TASKS, n=1, cutoff=0.0)[0]
        raise ConfigError(
            f"Unknown task `{task}`. Did you mean `{nearest}`?", stage="config", reason="unknown_key"
        ) from None


def named_config(task: str, name: str) -> Any:
    """The configuration of a task with a given name.

    Raises:
        ConfigError: if the task has no such configuration.
    """
    configs: Mapping[str, Any] = task_module(task, "config").CONFIGS
    if name not in configs:
        nearest = difflib.get_close_matches(name, configs, n=1, cutoff=0.0)[0]
        raise ConfigError(
            f"`{task}` has no configuration `{name}`. Did you mean `{nearest}`?",
            stage="config", reason="unknown_key",
        )  # fmt: skip
    return configs[name]
