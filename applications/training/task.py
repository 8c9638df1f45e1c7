"""Finds the modules of a task by its name."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training.run_folder import RunFolder

PACKAGE = "zorro_keras.applications"
TASKS = (
    "audio_visual_classification",
    "image_classification",
    "masked_language",
    "text_classification",
)


def task_module(task: str, part: str) -> ModuleType:
    """The module `config`, `data` or `model` of a task.

    A task is a package with three modules. `config` holds the frozen dataclass `Config`, with a field
    `training`, and `CONFIGS` by name. `data` holds `open_data(path, config)`, `training_dataset(data,
    config, preprocessor, *, start_step, faults_path)` and `evaluation_dataset(data, config, preprocessor, *,
    faults_path)`. `model` holds `build_model(config, label_names)` and may hold `epoch_metrics(predictions,
    y, sample_weight)`, and `start_weights(model, config)`, which a new run begins with.

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


def commands_of(run_dir: str | os.PathLike[str]) -> ModuleType | None:
    """The module `commands` of the task that a run was made with; `None` if it keeps to the shared commands.

    It holds `predict(run_dir, source, *, top)` and `evaluate(run_dir, data_path, *, out)`.

    Raises:
        ConfigError: if the folder holds no run.
    """
    task = RunFolder(run_dir).read_config()["task"]
    name = f"{PACKAGE}.{task}.commands"
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


def default_data(task: str, run_dir: str | os.PathLike[str], *, make: bool = False) -> Path:
    """The small data set that a task makes for itself, kept in the run's folder.

    Args:
        task: name of the task.
        run_dir: folder of the run.
        make: bool. Whether to write it if it is not there.

    Raises:
        ConfigError: if the task makes none, or it is not there and not to be made.
    """
    folder = Path(run_dir) / "default_data"
    maker = getattr(task_module(task, "data"), "default_data", None) if make else None
    if maker is not None:
        return Path(maker(folder))
    if not folder.exists():
        raise ConfigError(
            f"`{task}` needs data here.", path=folder, stage="command", reason="missing_file",
            advice="Give --data.",
        )  # fmt: skip
    return folder


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
