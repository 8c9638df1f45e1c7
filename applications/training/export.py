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
from zorro_keras.applications.training.parity import parity_report
from zorro_keras.applications.training.run import open_run
from zorro_keras.applications.training.saved_model import write_saved_model

# Between two backends on a CPU, rounding alone makes about 1e-6.
TOLERANCE = 1e-4
_CHILD = "zorro_keras.applications.training.export_child"


def export_run(
    run_dir: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    native: bool = False,
    tolerance: float = TOLERANCE,
) -> dict[str, Any]:
    """Exports the newest weights of a run: see `export_task`."""
    return export_task(open_run(run_dir).task, out, native=native, tolerance=tolerance)


def export_task(
    task: keras.Model, out: str | os.PathLike[str], *, native: bool = False, tolerance: float = TOLERANCE
) -> dict[str, Any]:
    """Writes a SavedModel of a classifier and compares it with the model in this process.

    The endpoints are `serve_*` and `embed_*` for every subset of the streams, and `serve_raw` (all streams)
    and `serve_raw_*` (some), which take waveforms and pixels. All take their streams by name, in batches of
    any size. `assets/labels.json` describes them; `parity.json` holds the comparison.

    Args:
        task: trained classifier, its preprocessor attached.
        out: folder to write. An earlier export there is replaced, once the new one has passed.
        native: bool. False writes a plain TensorFlow graph, in a child process that loads the weights with
            the TensorFlow backend. True exports from the present backend; from JAX that is one compiled
            program per endpoint, for CPU, CUDA and TPU.
        tolerance: float. Largest difference allowed: see `parity_report`.

    Returns:
        Dict with `saved_model`, the folder, `endpoints`, their names, and `parity`.

    Raises:
        ConfigError: if `out` holds something else, or the backend cannot export.
        TrainingError: if the export fails, or differs from the model.
    """
    if native and keras.backend.backend() == "torch":
        raise ConfigError(
            "torch has no SavedModel of its own. Received: native=True",
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
            write_saved_model(task, partial)
        else:
            _write_in_tensorflow(task, partial, Path(temporary) / "preset")
        report = parity_report(task, partial, tolerance=tolerance)
        (partial / "parity.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        if out.exists():
            shutil.rmtree(out)
        os.rename(partial, out)
    return {"saved_model": str(out), "endpoints": list(report["endpoints"]), "parity": report}


def _check_replaceable(out: Path) -> None:
    if out.exists() and not (out / "parity.json").exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(
            "`out` must be a new folder or hold an earlier export.",
            path=out,
            stage="export",
            reason="bad_value",
            advice="Choose another folder.",
        )


def _write_in_tensorflow(task: keras.Model, out: Path, preset: Path) -> None:
    """Saves the weights and lets a process with the TensorFlow backend write them as a graph."""
    task.save_to_preset(str(preset))
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "-1",  # this process may hold the accelerator, and tracing needs none
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    kind = type(task)
    command = [sys.executable, "-m", _CHILD, str(preset), str(out), kind.__module__, kind.__name__]
    child = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")
    if child.returncode:
        raise TrainingError(
            "TensorFlow could not write the SavedModel:\n" + "\n".join(child.stderr.splitlines()[-15:]),
            path=out,
            stage="export",
            reason="unknown",
        )
