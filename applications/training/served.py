"""Opens an export of any format as functions of arrays, by the runtime that serves it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from zorro_keras.applications.pipelines.faults import ConfigError

Arrays = dict[str, np.ndarray]
# In ONNX a name is given once: an output that is called as an input gets this.
OUTPUT_SUFFIX = "_output"


def open_served(folder: str | os.PathLike[str]) -> dict[str, Callable[[Arrays], Arrays]]:
    """Returns the endpoints of an export by name: functions of a dict of arrays to a dict of arrays.

    Args:
        folder: that `zorro-keras export` wrote. What it holds tells the format.

    Raises:
        ConfigError: if it holds no export.
    """
    folder = Path(folder)
    found = [folder / "saved_model.pb", *folder.glob("*/1/saved_model.pb")]
    saved_model = next((path for path in found if path.exists()), None)
    if saved_model is not None:
        return _of_saved_model(saved_model.parent)
    served = {path.stem: _of_onnx(path) for path in folder.glob("*.onnx")}
    served |= {path.stem: _of_litert(path) for path in folder.glob("*.tflite")}
    if not served:
        raise ConfigError(
            "The folder holds no export.", path=folder, stage="export", reason="missing_file",
            advice="Give the folder that `zorro-keras export` wrote.",
        )  # fmt: skip
    return served


def _of_saved_model(folder: Path) -> dict[str, Callable[[Arrays], Arrays]]:
    loaded = tf.saved_model.load(str(folder))

    def asked(name: str) -> Callable[[Arrays], Arrays]:
        # By `loaded`, which keeps the variables alive.
        return lambda inputs: {output: x.numpy() for output, x in getattr(loaded, name)(inputs).items()}

    return {name: asked(name) for name in loaded.signatures if name != "serving_default"}


def _of_onnx(path: Path) -> Callable[[Arrays], Arrays]:
    import onnxruntime

    session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    takes = {given.name for given in session.get_inputs()}
    clashing = {name + OUTPUT_SUFFIX: name for name in takes}
    names = [clashing.get(output.name, output.name) for output in session.get_outputs()]

    def ask(inputs: Arrays) -> Arrays:
        return dict(zip(names, session.run(None, dict(inputs)), strict=True))

    return ask


def _of_litert(path: Path) -> Callable[[Arrays], Arrays]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*tf.lite.Interpreter is deprecated", UserWarning)
        interpreter = tf.lite.Interpreter(os.fspath(path))
    runner = interpreter.get_signature_runner()
    return lambda inputs: runner(**inputs)
