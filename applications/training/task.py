"""Finds the modules of a task by its name."""

from __future__ import annotations

import difflib
import importlib
import json
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
    "audio_visual_pretraining",
    "image_classification",
    "masked_autoencoding",
    "masked_language",
    "optical_flow",
    "starcraft_units",
    "text_classification",
    "video_autoencoding",
)


def task_module(task: str, part: str) -> ModuleType:
    """The module `config`, `data`, `model` or `commands` of a task.

    A task is a package with four modules. `config` holds the frozen dataclass `Config`, with a field
    `training`, and `CONFIGS` by name. `data` holds `open_data(path, config)`, `training_dataset(data, config,
    preprocessor, *, start_step)` and `evaluation_dataset(data, config, preprocessor)`; data that meet faults
    while they are read take a `faults_path`, too, and training data that a host can read its own rows of a
    `part`. `model` holds `build_model(config, label_names)` and may hold `epoch_metrics(predictions, y,
    sample_weight)`, which may take `window_ids`, the ids in the order of the rows, and `presence`, that of
    the batches; and `start_weights(model, config)`, which a new run begins with. `commands` is what
    `commands_of` says. A fifth, `published`, holds `published_task(backbone, label_names)` where published
    weights can become a model of the task. A sixth, `batch_shapes`, holds `training_batch(config, model,
    batch_size)`, the shapes of what `training_dataset` yields, and where the task has classes
    `label_names(name, config, num_classes)`, which stand in for those of data.

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


def task_of_preset(folder: str | os.PathLike[str]) -> str | None:
    """The task whose model a preset holds; `None` where the folder is no preset of a task of ours."""
    try:
        about = json.loads((Path(folder) / "task.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    module = str(about.get("module", "")) if isinstance(about, dict) else ""
    name = module.removeprefix(f"{PACKAGE}.").partition(".")[0]
    return name if module.startswith(f"{PACKAGE}.") and name in TASKS else None


def task_of(folder: str | os.PathLike[str]) -> str:
    """The task of a run, or of a preset.

    Raises:
        ConfigError: if the folder holds neither, or the preset has no task.
    """
    task = task_of_preset(folder)
    if task is None and (Path(folder) / "metadata.json").is_file():  # keras-hub's
        raise ConfigError(
            "This preset holds a model without a task of ours: nothing knows how to ask it.",
            path=folder, stage="open_run", reason="bad_value",
            advice="`zorro-keras export` exports it; a task that takes `model.pretrained` starts from it.",
        )  # fmt: skip
    return task or RunFolder(folder).read_config()["task"]


def commands_of(folder: str | os.PathLike[str]) -> ModuleType:
    """The module `commands` of the task that a run or a preset was made with.

    It holds `predict(folder, source)`, `evaluate(run_dir, data_path, *, out)`, and where there is something
    to prepare `prepare(source, out, *, on_progress)`. Each may take options of its own: `top` answers are
    shown by those that rank, a `second` source is read by those that compare two. A task whose embeddings
    find one another holds `embed(source, index, *, model)` and `search(index, *, audio, video)`.

    Args:
        folder: of a run, or of a preset.

    Raises:
        ConfigError: if the folder holds neither.
    """
    return task_module(task_of(folder), "commands")


def make_default_data(task: str, run_dir: str | os.PathLike[str]) -> Path:
    """Writes the small data set that a task makes for itself into the run's folder. Returns its path.

    Raises:
        ConfigError: if the task makes none.
    """
    maker = getattr(task_module(task, "data"), "default_data", None)
    if maker is None:
        raise ConfigError(
            f"`{task}` makes no data of its own.", stage="command", reason="missing_file",
            advice="Give --data.",
        )  # fmt: skip
    return Path(maker(_default_data(run_dir)))


def default_data(run_dir: str | os.PathLike[str]) -> Path:
    """The small data set that a task made for the run in a folder.

    Raises:
        ConfigError: if it made none.
    """
    folder = _default_data(run_dir)
    if not folder.exists():
        raise ConfigError(
            f"`{task_of(run_dir)}` made no data for this run.",
            path=folder, stage="command", reason="missing_file", advice="Give --data.",
        )  # fmt: skip
    return folder


def _default_data(run_dir: str | os.PathLike[str]) -> Path:
    return Path(run_dir) / "default_data"


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
