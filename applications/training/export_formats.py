"""The formats of an export: a SavedModel, its folder for TF Serving, ONNX and LiteRT files."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import keras
import tensorflow as tf

from zorro_keras.applications.pipelines.faults import ConfigError, TrainingError
from zorro_keras.applications.training.endpoints import Endpoint, endpoints_of
from zorro_keras.applications.training.saved_model import describe, write_saved_model
from zorro_keras.applications.training.serving_folder import write_serving_folder

Format = Literal["saved_model", "tf_serving", "onnx", "litert"]
LABELS = Path("assets") / "labels.json"
PACKAGES = {"onnx": ("onnx", "onnxruntime", "tf2onnx")}


class UnsupportedEndpointError(Exception):
    """An endpoint has no equal in a format. The message says which operation, or why."""


def check_format(format: str, *, native: bool) -> None:
    """Refuses a format that this process cannot write or read.

    Raises:
        ConfigError: naming the extra to install, or the option to leave out.
    """
    if format not in ("saved_model", "tf_serving", "onnx", "litert"):
        raise ConfigError(
            f"`format` must be saved_model, tf_serving, onnx or litert. Received: format={format!r}",
            stage="export", reason="bad_value",
        )  # fmt: skip
    missing = [name for name in PACKAGES.get(format, ()) if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"The format `{format}` needs packages that are not installed: {', '.join(missing)}.",
            stage="export", reason="missing_file", advice="pip install 'zorro-keras[export]'",
        )  # fmt: skip
    if native and format in ("onnx", "litert") and keras.backend.backend() != "tensorflow":
        raise ConfigError(
            f"`{format}` is made of a TensorFlow graph. Received: native=True on {keras.backend.backend()}",
            stage="export", reason="bad_value",
            advice="Leave `native` out: the weights are then exported by TensorFlow.",
        )  # fmt: skip


def write_export(
    model: keras.Model,
    out: str | os.PathLike[str],
    *,
    format: Format = "saved_model",
    name: str = "model",
    litert_int8: bool = False,
) -> None:
    """Writes a model in a format, in the backend of this process.

    A SavedModel holds all endpoints; TF Serving's folder has one, and a request for each of them: see
    `write_serving_folder`. ONNX and LiteRT have a file for each endpoint, `<endpoint>.onnx` or `.tflite`. An
    endpoint with an operation that the format lacks is left out: `assets/labels.json` says why.

    Args:
        model: the trained task, or a backbone.
        out: folder to write.
        format: one of `Format`.
        name: what TF Serving calls the model.
        litert_int8: bool. Lets LiteRT turn kernels into int8.

    Raises:
        TrainingError: if the format can hold none of the endpoints.
    """
    if format == "saved_model":
        write_saved_model(model, out)
    elif format == "tf_serving":
        write_saved_model(model, Path(out) / name / "1")
        write_serving_folder(endpoints_of(model), out)
        _write_labels(out, describe(model, endpoints_of(model)))
    elif format == "onnx":
        from zorro_keras.applications.training.onnx_file import write_onnx

        _write_files(model, out, write_onnx, ".onnx")
    else:
        from zorro_keras.applications.training.litert_file import write_litert

        _write_files(model, out, functools.partial(write_litert, int8=litert_int8), ".tflite")


def _write_files(
    model: keras.Model,
    out: str | os.PathLike[str],
    write: Callable[[Any, Any, Endpoint, Path], None],
    ending: str,
) -> None:
    """Writes a file for every endpoint that the format can hold."""
    out, kept, left_out = Path(out), [], {}
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as saved_model:
        write_saved_model(model, saved_model)
        loaded = tf.saved_model.load(saved_model)
        for endpoint in endpoints_of(model):
            try:
                write(loaded, loaded.signatures[endpoint.name], endpoint, out / f"{endpoint.name}{ending}")
                kept.append(endpoint)
            except UnsupportedEndpointError as error:
                left_out[endpoint.name] = str(error)
    if not kept:
        raise TrainingError(
            f"No endpoint can be written as `{ending}`: {left_out}",
            path=out,
            stage="export",
            reason="unknown",
        )
    _write_labels(out, {**describe(model, kept), "left_out": left_out})


def _write_labels(out: str | os.PathLike[str], about: Mapping[str, Any]) -> None:
    path = Path(out) / LABELS
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
