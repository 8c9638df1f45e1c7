"""Checkpoints that hold the whole state of a run, whatever kills, full disks and bit rot do."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import ml_dtypes
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from zorro_keras.applications.pipelines.faults import CheckpointError, TrainingError
from zorro_keras.applications.training.replicas import array_of
from zorro_keras.applications.training.run_folder import full_disk_named, sha256, sync_file, sync_folder

KEPT_CHECKPOINTS = 2
_VARIABLES, _STATE = "variables.safetensors", "state.json"
_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint: its folder, and what `state.json` says."""

    path: Path
    state: Mapping[str, Any]

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return self.state["epoch"]

    @property
    def step(self) -> int:
        """Finished steps."""
        return self.state["step"]


def run_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Every variable a run needs to go on, by a name that does not depend on what else was built before.

    Weights, seed generators and other layer state as `model/...`; with a compiled optimizer its moments,
    averages and step counter as `optimizer/...`. The number in a name is the order of creation.
    """
    groups = {"model": model.variables}
    if getattr(model, "optimizer", None) is not None:
        groups["optimizer"] = model.optimizer.variables
    return {
        f"{group}/{index:05d}/{_stable(variable.path)}": variable
        for group, variables in groups.items()
        for index, variable in enumerate(variables)
    }


def save(
    folder: Path,
    model: keras.Model,
    *,
    step: int,
    state: Mapping[str, Any],
    write_tensors: Callable[[dict[str, np.ndarray], Path], None] = save_file,
) -> Path:
    """Writes a checkpoint beside the older ones, then removes all but the newest two.

    The files are written to a temporary folder, hashed, synced, and renamed into place in one step: a reader
    sees a whole checkpoint or none, and the older ones are touched only after that.

    Args:
        folder: the `checkpoints` folder of a run.
        model: the compiled model.
        step: int. Optimizer steps done; names the checkpoint.
        state: what to remember beside the tensors. JSON values.
        write_tensors: writes a dict of arrays to a path.

    Returns:
        The folder of the new checkpoint.

    Raises:
        TrainingError: if a tensor is not finite. Nothing is written.
        CheckpointError: if the disk is full or not writable. The older checkpoints are untouched.
    """
    variables = run_variables(model)
    tensors = {name: _to_array(variable) for name, variable in variables.items()}
    _check_finite(tensors, step)
    final = folder / f"step-{step:08d}"
    partial = folder / f".{final.name}.partial-{os.getpid()}"
    _remove_partial(folder)
    try:
        with full_disk_named(final):
            partial.mkdir(parents=True)
            write_tensors({name: _storable(array) for name, array in tensors.items()}, partial / _VARIABLES)
            sync_file(partial / _VARIABLES)
            record = {
                **state,
                "format": _FORMAT,
                "step": step,
                "averages": _averages(model, variables),
                "bfloat16": [name for name, array in tensors.items() if array.dtype == ml_dtypes.bfloat16],
                "sha256": {_VARIABLES: sha256(partial / _VARIABLES)},
            }
            _write_state(partial / _STATE, record)
            shutil.copymode(partial / _STATE, partial / _VARIABLES)  # safetensors lets nobody else read
            sync_folder(partial)
            if final.exists():
                shutil.rmtree(final)
            os.rename(partial, final)
            sync_folder(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    _prune(folder)
    return final


def newest(folder: Path, say: Callable[[str], None] = print) -> Checkpoint | None:
    """Finds the newest checkpoint that is whole. None where there is none at all.

    Args:
        folder: the `checkpoints` folder of a run.
        say: is told about each damaged checkpoint that is passed over.

    Raises:
        CheckpointError: if there are checkpoints and all of them are damaged.
    """
    faults = []
    for path in _finished(folder):
        try:
            return _verify(path)
        except CheckpointError as error:
            faults.append(error)
            say(f"Checkpoint {path.name} is damaged and not used: {error.message}")
    if faults:
        raise faults[0]
    return None


def restore(checkpoint: Checkpoint, model: keras.Model) -> None:
    """Puts every variable of `model` and its optimizer back to what the checkpoint holds, bit for bit.

    Raises:
        CheckpointError: if the tensors are those of another model or optimizer. Nothing is changed then.
    """
    _assign(checkpoint, run_variables(model))


def restore_weights(checkpoint: Checkpoint, model: keras.Model) -> None:
    """Puts the layer state of `model` back: averaged weights where the run kept them. Any backend reads it.

    Raises:
        CheckpointError: if the tensors are those of another model. Nothing is changed then.
    """
    names = {name: variable for name, variable in run_variables(model).items() if name.startswith("model/")}
    seeds = {name for name, variable in names.items() if variable.path.endswith("seed_generator_state")}
    averages = checkpoint.state["averages"]
    _assign(checkpoint, {name: variable for name, variable in names.items() if name not in seeds}, averages)


def _assign(
    checkpoint: Checkpoint, variables: Mapping[str, keras.Variable], averages: Mapping[str, str] | None = None
) -> None:
    bfloat16 = set(checkpoint.state["bfloat16"])
    sources = averages or {}
    with safe_open(checkpoint.path / _VARIABLES, framework="np") as file:
        _check_same_model(checkpoint, variables, file, whole=averages is None)
        for name, variable in variables.items():
            array = file.get_tensor(sources.get(name, name))
            variable.assign(array.view(ml_dtypes.bfloat16) if name in bfloat16 else array)


def _check_same_model(
    checkpoint: Checkpoint, variables: Mapping[str, keras.Variable], file: Any, *, whole: bool
) -> None:
    """Compares names, shapes and types before any tensor is read; types only where every bit counts."""
    stored, wanted = {}, {}
    for name in file.keys():  # noqa: SIM118 (not a dict)
        tensor = file.get_slice(name)
        stored[name] = f"{tuple(tensor.get_shape())}" + f" {tensor.get_dtype()}" * whole
    for name, variable in variables.items():
        wanted[name] = f"{tuple(variable.shape)}" + f" {_stored_type(variable)}" * whole
    if not whole:
        stored = {name: shape for name, shape in stored.items() if name in wanted}
    names = [
        name for name in dict.fromkeys([*wanted, *sorted(stored)]) if stored.get(name) != wanted.get(name)
    ]
    if not names:
        return
    rows = [
        f"  {name}: checkpoint {stored.get(name, 'absent')}, model {wanted.get(name, 'absent')}"
        for name in names[:5]
    ]
    raise CheckpointError(
        "\n".join([f"The checkpoint is of another model: {len(names)} tensors differ. The first:", *rows]),
        path=checkpoint.path, stage="restore", reason="wrong_model",
    )  # fmt: skip


def _stored_type(variable: keras.Variable) -> str:
    """The name safetensors has for the type of `variable`: `float32` -> `F32`."""
    kind = "uint16" if variable.dtype == "bfloat16" else variable.dtype
    return re.sub(r"^(u?)(\w)[a-z]*(\d+)$", lambda match: f"{(match[1] or match[2]).upper()}{match[3]}", kind)


def _verify(path: Path) -> Checkpoint:
    """Reads `state.json` and compares the hashes. Raises CheckpointError naming what is wrong."""
    try:
        state = json.loads((path / _STATE).read_text(encoding="utf-8"))
        body = {name: value for name, value in state.items() if name != "digest"}
        if state["digest"] != _digest(body):
            raise _damaged(path, f"{_STATE} was changed after it was written.")
        for name, expected in state["sha256"].items():
            if sha256(path / name) != expected:
                raise _damaged(path, f"{name} was changed after it was written.")
    except OSError as error:
        raise _damaged(
            path, f"{Path(error.filename or path).name} cannot be read: {error.strerror}."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise _damaged(path, f"{_STATE} cannot be read: {error}.") from error
    if state["format"] != _FORMAT:
        raise _damaged(path, f"it has format {state['format']}; this version reads format {_FORMAT}.")
    return Checkpoint(path, state)


def _damaged(path: Path, what: str) -> CheckpointError:
    return CheckpointError(what, path=path, stage="restore", reason="bad_checkpoint")


def _write_state(path: Path, record: Mapping[str, Any]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        json.dump({**record, "digest": _digest(record)}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def _digest(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _finished(folder: Path) -> list[Path]:
    """Checkpoint folders, newest first. Partial ones have other names."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if re.fullmatch(r"step-\d+", path.name)]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")), reverse=True)


def _prune(folder: Path) -> None:
    """Removes all but the newest checkpoints."""
    for path in _finished(folder)[KEPT_CHECKPOINTS:]:
        # Renamed first: a kill in the middle of the removal must not leave half a checkpoint under its name.
        doomed = path.with_name(f".{path.name}.partial-{os.getpid()}")
        os.rename(path, doomed)
    _remove_partial(folder)


def _remove_partial(folder: Path) -> None:
    """Removes what killed writers left behind: only names we write, and a run has one writer."""
    for path in folder.glob(".step-*.partial-*"):
        shutil.rmtree(path, ignore_errors=True)


def _averages(model: keras.Model, variables: Mapping[str, keras.Variable]) -> dict[str, str]:
    """Name of each averaged weight -> name of its average. Empty without averages."""
    averages = model.optimizer.averages()
    names = {id(variable): name for name, variable in variables.items()}
    pairs: Sequence[tuple[keras.Variable, keras.Variable]] = list(
        zip(model.trainable_variables, averages, strict=bool(averages))
    )
    return {names[id(weight)]: names[id(average)] for weight, average in pairs}


def _check_finite(tensors: Mapping[str, np.ndarray], step: int) -> None:
    for name, array in tensors.items():
        if array.dtype.kind in "fcV" and not np.isfinite(array.astype(np.float64)).all():
            raise TrainingError(
                f"The tensor {name} is not finite after step {step}; no checkpoint was written.",
                stage="save", reason="non_finite_loss",
            )  # fmt: skip


def _to_array(variable: keras.Variable) -> np.ndarray:
    return np.ascontiguousarray(array_of(variable)).reshape(variable.shape)


def _storable(array: np.ndarray) -> np.ndarray:
    """bfloat16 as its bits: the numpy side of safetensors does not know the type."""
    return array.view(np.uint16) if array.dtype == ml_dtypes.bfloat16 else array


def _stable(path: str) -> str:
    """`path` without the counters Keras appends to automatic names: `dense_3/kernel` -> `dense/kernel`."""
    return re.sub(r"_\d+(?=[_/]|$)", "", path)
