"""What makes a run this run and no other, and the check that a folder holds the same one."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import keras
from rich.console import Console

from zorro_keras.applications.pipelines.faults import CheckpointError, ConfigError
from zorro_keras.applications.training.config import differences, from_json, to_json
from zorro_keras.applications.training.run_folder import RunFolder
from zorro_keras.applications.training.task import task_module

# What may differ when a run goes on: it changes the speed, not the numbers.
SPEED_ONLY = ("config.data.num_workers", "config.data.deadline_seconds", "config.data.max_worker_bytes")
# What may differ, too, and changes the order of sums: the numbers agree to rounding.
ROUNDING_ONLY = ("config.training.distribute", "config.training.model_devices")
# What may differ, too, and decides what becomes of sources that cannot be read.
FAULTS_ONLY = ("config.data.on_error", "config.data.max_bad_fraction", "config.data.max_pixels")
_VERSIONED = ("keras", "tensorflow", "jax", "torch", "numpy")


def identity(task: str, config: Any, data: Any) -> dict[str, Any]:
    """What makes a run this run and no other: the content of `config.json`."""
    installed = {name: _version(name) for name in _VERSIONED}
    return {
        "task": task,
        "config": to_json(config),
        "data": {"fingerprint": data.fingerprint, "label_names": list(getattr(data, "label_names", ()))},
        "backend": keras.backend.backend(),
        "versions": {name: number for name, number in installed.items() if number is not None},
    }


def check_same_run(folder: RunFolder, mine: Mapping[str, Any], resume: bool, console: Console) -> None:
    """Checks that a run that the folder holds is this one.

    A setting that the run does not know, because it is newer, counts as its default.

    Args:
        folder: the run.
        mine: what `identity` says of the run asked for.
        resume: bool. False refuses a folder that already holds a run.
        console: is told of other versions and devices, which may change the last bits.

    Raises:
        CheckpointError: if the data are not those the run was started with.
        ConfigError: if anything else differs that decides its numbers.
    """
    if not folder.config_file.exists():
        return
    if not resume:
        raise ConfigError(
            "The folder already holds a run; choose another folder or go on with this one.",
            path=folder.path, stage="open_run", reason="bad_value",
        )  # fmt: skip
    theirs = _with_defaults(folder.read_config(), mine["task"])
    lines = differences(theirs, mine)
    for line in lines:
        if line.startswith(("versions.", *ROUNDING_ONLY)):
            console.print(f"Note: {line}. The run goes on, but not bit for bit.")
        if line.startswith(FAULTS_ONLY):
            console.print(f"Note: {line}, from here on.")
    may_differ = ("versions.", *SPEED_ONLY, *ROUNDING_ONLY, *FAULTS_ONLY)
    changed = [line for line in lines if not line.startswith(may_differ)]
    data_changed = [line for line in changed if line.startswith("data.")]
    if data_changed:
        raise CheckpointError(
            "The data are not those the run was started with:\n  " + "\n  ".join(data_changed),
            path=folder.path, stage="open_run", reason="changed_data",
        )  # fmt: skip
    if changed:
        raise ConfigError(
            "The run was started with other settings:\n  " + "\n  ".join(changed),
            path=folder.path, stage="open_run", reason="bad_value",
            advice="Use the settings of the run, or a new folder.",
        )  # fmt: skip


def _with_defaults(theirs: dict[str, Any], task: str) -> dict[str, Any]:
    """What a run's `config.json` says, with the defaults of settings that are newer than the run."""
    try:
        config = from_json(task_module(task, "config").Config, theirs["config"])
    except (ConfigError, KeyError, TypeError):  # of another task or version: the comparison says how
        return theirs
    return {**theirs, "config": to_json(config)}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except ImportError:
        return None
