"""Exports a run in a format that needs neither Keras nor this library to serve it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zorro_keras.applications.pipelines.faults import ConfigError, TrainingError
from zorro_keras.applications.training.backend import precision, prepare_backend
from zorro_keras.applications.training.endpoints import Endpoint, endpoints_of
from zorro_keras.applications.training.export_formats import LABELS, Format, check_format, write_export
from zorro_keras.applications.training.export_preset import write_preset
from zorro_keras.applications.training.open_model import open_model
from zorro_keras.applications.training.parity import parity_report
from zorro_keras.applications.training.replaced_folder import check_replaceable, replacing_folder
from zorro_keras.applications.training.task import task_of_preset
from zorro_keras.models import PerceiverIOBackbone

# Between two backends on a CPU, rounding alone makes about 1e-6.
TOLERANCE = 1e-4
# Eight bits hold a kernel to half of 1/127 of its largest values; what a deep model makes of it is reported.
INT8_TOLERANCE = 0.25
INT8_LEAST_SCALE = 1e-3  # a quarter of 1 would let an embedding of length 1 be anything
INT8_BATCH = 32
# What an export of any format has in it, beside the model of TF Serving, which has the name of the folder.
_WRITTEN = (
    *("parity.json", "assets", "requests", "saved_model.pb", "fingerprint.pb", "variables"),
    *("*.onnx", "*.tflite"),
)
_CHILD = "zorro_keras.applications.training.export_child"


@dataclass(frozen=True)
class ExportOptions:
    """How a model is exported.

    Attributes:
        format: "saved_model"; "tf_serving", a folder for TF Serving with a request for each endpoint; "onnx"
            or "litert", a file for each endpoint.
        int8: bool. Turns the kernels of a copy of the model into int8: see `quantised_preset`; for LiteRT, by
            its own rules. The comparison is with the model in float32, on more examples.
        native: bool. False writes a plain TensorFlow graph, in a child process that loads the weights with
            the TensorFlow backend. True exports from the present backend; from JAX that is one compiled
            program per endpoint, for CPU, CUDA and TPU, which takes no inputs of open length, such as texts.
        tolerance: optional float. Largest difference allowed: see `parity_report`. 1e-4 by default, 0.25 with
            `int8`.
        given: optional dict of name to array, further inputs to compare on: see `parity_report`.
    """

    format: Format = "saved_model"
    int8: bool = False
    native: bool = False
    tolerance: float | None = None
    given: Mapping[str, np.ndarray] | None = None


def export_run(folder: str | os.PathLike[str], out: str | os.PathLike[str], **options: Any) -> dict[str, Any]:
    """Exports the newest weights of a run, or the model of a preset folder: see `export_task`.

    A preset that holds a backbone alone, as `zorro-keras convert` writes it, is exported as one.

    Args:
        folder: of a run, or of a preset.
        out: folder to write.
        **options: of `ExportOptions`.
    """
    return _export(_opened(folder), out, ExportOptions(**options))


def export_task(task: keras.Model, out: str | os.PathLike[str], **options: Any) -> dict[str, Any]:
    """Writes a SavedModel or another format of a task and compares it with the model in this process.

    The endpoints are what the task declares by `export_endpoints`; a task on a `PerceiverIOBackbone` that
    declares none has those of `perceiver_endpoints`. All take their inputs by name, in batches of any size.
    `assets/labels.json` describes them; `parity.json` holds the comparison.

    Args:
        task: trained task, its preprocessor attached.
        out: folder to write. An earlier export there is replaced, once the new one has passed.
        **options: of `ExportOptions`.

    Returns:
        Dict with the folder, by the name of its format, such as `saved_model`; `endpoints`, their names;
        `left_out`, why others have none in this format; `bytes` on disk; and `parity`.

    Raises:
        ConfigError: if `out` holds something else, or the backend cannot export, or a package is missing.
        TrainingError: if the export fails, or differs from the model.
    """
    return _export(task, out, ExportOptions(**options))


def export_backbone(
    backbone: PerceiverIOBackbone, out: str | os.PathLike[str], **options: Any
) -> dict[str, Any]:
    """Writes an export of a Perceiver IO without a task: `serve`, `encode`, `decode`, `decode_rows`.

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
    return _export(backbone, out, ExportOptions(**options))


def _export(model: keras.Model, out: str | os.PathLike[str], options: ExportOptions) -> dict[str, Any]:
    _check_backend(options)
    check_format(options.format, native=options.native)
    endpoints = endpoints_of(model)  # what cannot be served is refused before anything is written
    if options.native:
        _check_lengths(endpoints)
    out = Path(out)
    target = out.resolve()  # of a link, what it leads to is replaced; and `.` has a name there
    _check_replaceable(target)
    with replacing_folder(target) as partial:
        write = _write_here if options.native else _write_in_tensorflow
        wanted = {"format": options.format, "name": target.name, "int8": options.int8}
        write(model, partial, partial.with_name("preset"), wanted)
        report = parity_report(model, partial, **_comparison(options))
        (partial / "parity.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        left_out = json.loads((partial / LABELS).read_text(encoding="utf-8")).get("left_out", {})
        size = sum(file.stat().st_size for file in partial.rglob("*") if file.is_file())
    return {
        options.format: str(out),
        "endpoints": list(report["endpoints"]),
        "left_out": left_out,
        "bytes": size,
        "parity": report,
    }


def _comparison(options: ExportOptions) -> dict[str, Any]:
    """The arguments of `parity_report`."""
    default = INT8_TOLERANCE if options.int8 else TOLERANCE
    tolerance = default if options.tolerance is None else options.tolerance
    comparison = {"tolerance": tolerance, "given": options.given}
    return (
        {**comparison, "batch": INT8_BATCH, "least_scale": INT8_LEAST_SCALE} if options.int8 else comparison
    )


def _check_backend(options: ExportOptions) -> None:
    if options.native and keras.backend.backend() == "torch":
        raise ConfigError(
            "torch has no SavedModel of its own. Received: native=True",
            stage="export",
            reason="bad_value",
            advice="Leave `native` out: the weights are then exported by TensorFlow.",
        )


def _check_lengths(endpoints: list[Endpoint]) -> None:
    if keras.backend.backend() == "jax" and any(endpoint.limits for endpoint in endpoints):
        raise ConfigError(
            "JAX cannot export inputs of any length: its programs need to know where attention is cut. "
            "Received: native=True",
            stage="export",
            reason="bad_value",
            advice="Leave `native` out: the weights are then exported by TensorFlow.",
        )


def _opened(folder: str | os.PathLike[str]) -> keras.Model:
    """The task of a run or of a preset; of a preset without a task, its backbone."""
    is_preset = (Path(folder) / "metadata.json").is_file()  # keras-hub's
    if not is_preset or task_of_preset(folder) is not None:
        return open_model(folder)
    prepare_backend()
    with precision(mixed=False):
        return PerceiverIOBackbone.from_preset(os.fspath(folder))


def _check_replaceable(out: Path) -> None:
    """Refuses a folder that holds more than an export, such as another one in it."""
    model = out / out.name  # of TF Serving
    is_model = model.is_dir() and [version.name for version in model.iterdir()] == ["1"]
    check_replaceable(
        out, "`out` must be a new folder or hold an earlier export", earlier=(out / "parity.json").is_file(),
        names=(*_WRITTEN, out.name) if is_model else _WRITTEN, stage="export",
    )  # fmt: skip


def _write_here(model: keras.Model, out: Path, preset: Path, wanted: dict[str, Any]) -> None:
    """Writes the export in the backend of this process."""
    if wanted["int8"]:
        model.save_to_preset(str(preset))
        write_preset(type(model), preset, out, **wanted)
    else:
        write_export(model, out, format=wanted["format"], name=wanted["name"])


def _write_in_tensorflow(model: keras.Model, out: Path, preset: Path, wanted: dict[str, Any]) -> None:
    """Saves the weights and lets a process with the TensorFlow backend write them as a graph."""
    model.save_to_preset(str(preset))
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "-1",  # this process may hold the accelerator, and tracing needs none
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    kind, words = type(model), json.dumps(wanted)
    command = [sys.executable, "-m", _CHILD, str(preset), str(out), kind.__module__, kind.__name__, words]
    child = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")
    if child.returncode:
        raise TrainingError(
            "TensorFlow could not write the export:\n" + "\n".join(child.stderr.splitlines()[-15:]),
            path=out,
            stage="export",
            reason="unknown",
        )
