"""Exports a run as a SavedModel that needs neither Keras nor this library."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import keras

from zorro_keras.applications.pipelines.faults import ConfigError, TrainingError
from zorro_keras.applications.training.backend import precision, prepare_backend
from zorro_keras.applications.training.endpoints import endpoints_of
from zorro_keras.applications.training.open_model import open_model
from zorro_keras.applications.training.parity import parity_report
from zorro_keras.applications.training.saved_model import write_saved_model
from zorro_keras.applications.training.task import task_of_preset
from zorro_keras.models import PerceiverIOBackbone

# Between two backends on a CPU, rounding alone makes about 1e-6.
TOLERANCE = 1e-4
_CHILD = "zorro_keras.applications.training.export_child"


def export_run(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    native: bool = False,
    tolerance: float = TOLERANCE,
) -> dict[str, Any]:
    """Exports the newest weights of a run, or the model of a preset folder: see `export_task`.

    A preset that holds a backbone alone, as `zorro-keras convert` writes it, is exported as one.

    Args:
        folder: of a run, or of a preset.
        out, native, tolerance: as for `export_task`.
    """
    return _export(_opened(folder), out, native=native, tolerance=tolerance)


def export_task(
    task: keras.Model, out: str | os.PathLike[str], *, native: bool = False, tolerance: float = TOLERANCE
) -> dict[str, Any]:
    """Writes a SavedModel of a task and compares it with the model in this process.

    The endpoints are what the task declares by `export_endpoints`; a task on a `PerceiverIOBackbone` that
    declares none has those of `perceiver_endpoints`. All take their inputs by name, in batches of any size.
    `assets/labels.json` describes them; `parity.json` holds the comparison.

    Args:
        task: trained task, its preprocessor attached.
        out: folder to write. An earlier export there is replaced, once the new one has passed.
        native: bool. False writes a plain TensorFlow graph, in a child process that loads the weights with
            the TensorFlow backend. True exports from the present backend; from JAX that is one compiled
            program per endpoint, for CPU, CUDA and TPU, which takes no inputs of open length, such as texts.
        tolerance: float. Largest difference allowed: see `parity_report`.

    Returns:
        Dict with `saved_model`, the folder, `endpoints`, their names, and `parity`.

    Raises:
        ConfigError: if `out` holds something else, or the backend cannot export.
        TrainingError: if the export fails, or differs from the model.
    """
    return _export(task, out, native=native, tolerance=tolerance)


def export_backbone(
    backbone: PerceiverIOBackbone,
    out: str | os.PathLike[str],
    *,
    native: bool = False,
    tolerance: float = TOLERANCE,
) -> dict[str, Any]:
    """Writes a SavedModel of a Perceiver IO without a task: `serve`, `encode`, `decode`, `decode_rows`.

    See `perceiver_endpoints` for what they take, and `export_task` for arguments, returns and errors. Layers
    of one's own that only this process knows need `native`.

    Example:

    ```python
    export_backbone(backbone, "served")
    served = tf.saved_model.load("served")
    latents = served.encode({"image": images})["latents"]  # once ...
    served.decode({"latents": latents})["label"]  # ... and asked as often as you like
    ```
    """
    return _export(backbone, out, native=native, tolerance=tolerance)


def _export(
    model: keras.Model, out: str | os.PathLike[str], *, native: bool, tolerance: float
) -> dict[str, Any]:
    if native and keras.backend.backend() == "torch":
        raise ConfigError(
            "torch has no SavedModel of its own. Received: native=True",
            stage="export",
            reason="bad_value",
            advice="Leave `native` out: the weights are then exported by TensorFlow.",
        )
    endpoints = endpoints_of(model)  # what cannot be served is refused before anything is written
    if native and keras.backend.backend() == "jax" and any(endpoint.limits for endpoint in endpoints):
        raise ConfigError(
            "JAX cannot export inputs of any length: its programs need to know where attention is cut. "
            "Received: native=True",
            stage="export",
            reason="bad_value",
            advice="Leave `native` out: the weights are then exported by TensorFlow.",
        )
    out = Path(out)
    _check_replaceable(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as temporary:
        partial = Path(temporary) / "saved_model"
        if native:
            write_saved_model(model, partial)
        else:
            _write_in_tensorflow(model, partial, Path(temporary) / "preset")
        report = parity_report(model, partial, tolerance=tolerance)
        (partial / "parity.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        if out.exists():
            shutil.rmtree(out)
        os.rename(partial, out)
    return {"saved_model": str(out), "endpoints": list(report["endpoints"]), "parity": report}


def _opened(folder: str | os.PathLike[str]) -> keras.Model:
    """The task of a run or of a preset; of a preset without a task, its backbone."""
    is_preset = (Path(folder) / "metadata.json").is_file()  # keras-hub's
    if not is_preset or task_of_preset(folder) is not None:
        return open_model(folder)
    prepare_backend()
    with precision(mixed=False):
        return PerceiverIOBackbone.from_preset(os.fspath(folder))


def _check_replaceable(out: Path) -> None:
    if out.exists() and not (out / "parity.json").exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(
            "`out` must be a new folder or hold an earlier export.",
            path=out,
            stage="export",
            reason="bad_value",
            advice="Choose another folder.",
        )


def _write_in_tensorflow(model: keras.Model, out: Path, preset: Path) -> None:
    """Saves the weights and lets a process with the TensorFlow backend write them as a graph."""
    model.save_to_preset(str(preset))
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "-1",  # this process may hold the accelerator, and tracing needs none
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    kind = type(model)
    command = [sys.executable, "-m", _CHILD, str(preset), str(out), kind.__module__, kind.__name__]
    child = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")
    if child.returncode:
        raise TrainingError(
            "TensorFlow could not write the SavedModel:\n" + "\n".join(child.stderr.splitlines()[-15:]),
            path=out,
            stage="export",
            reason="unknown",
        )
