"""Compares a SavedModel with the model in this process, endpoint by endpoint."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zorro_keras.applications.pipelines.faults import TrainingError
from zorro_keras.applications.pipelines.generated_clips import plan_clips, write_clip
from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.pipelines.media import decode_window
from zorro_keras.applications.training.endpoints import Endpoint, endpoints_of, with_probabilities

Arrays = dict[str, np.ndarray]
_BATCH = 3  # random and real alike: another size would be compiled again


def parity_report(
    task: keras.Model, saved_model: str | os.PathLike[str], *, tolerance: float
) -> dict[str, Any]:
    """Runs every endpoint and the model on random inputs and on real clips.

    Args:
        task: the model that was exported.
        saved_model: folder of the SavedModel.
        tolerance: float. The largest difference allowed, as a share of the largest value of an output (of 1
            for smaller ones).

    Returns:
        Dict with `tolerance`, `worst`, and `endpoints`: for each the `random` and, where the model reads
        sound or picture, `real` differences: `max_abs` and `max_relative`.

    Raises:
        TrainingError: if an endpoint differs by more than the tolerance, or is not finite.
    """
    loaded = tf.saved_model.load(str(saved_model))
    rng = np.random.default_rng(0)
    clips = _real_clips(task)
    report: dict[str, Any] = {"tolerance": tolerance, "endpoints": {}}
    for endpoint in endpoints_of(task):
        inputs = {"random": _random(task, endpoint, rng)}
        if clips:
            inputs["real"] = _from_clips(task, endpoint, clips)
        with _whole_float32():
            report["endpoints"][endpoint.name] = {
                kind: _differences(_answer(task, endpoint, arrays), getattr(loaded, endpoint.name)(arrays))
                for kind, arrays in inputs.items()
            }
    by_size = {
        name: max(kind["max_relative"] for kind in kinds.values())
        for name, kinds in report["endpoints"].items()
    }
    report["worst"] = max(by_size, key=by_size.get)
    if not by_size[report["worst"]] <= tolerance:
        raise TrainingError(
            f"The endpoint `{report['worst']}` of the SavedModel differs from the model by "
            f"{by_size[report['worst']]:.3g}. Expected: at most {tolerance:g}.",
            path=saved_model,
            stage="export",
            reason="wrong_model",
            advice="Do not serve this export. Export again; if the difference stays, please report it.",
        )
    return report


@contextmanager
def _whole_float32() -> Iterator[None]:
    """Keeps accelerators from rounding the factors of float32 products: the two sides would differ by it."""
    if keras.backend.backend() == "jax":
        import jax

        with jax.default_matmul_precision("float32"):
            yield
        return
    rounds = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(rounds)


def _answer(task: keras.Model, endpoint: Endpoint, arrays: Arrays) -> Mapping[str, Any]:
    """What the model in this process says, by the way its users take: `predict`."""
    if endpoint.kind == "embed":
        return keras.Model.predict_on_batch(task.backbone, arrays)
    if endpoint.kind == "raw":
        logits = task.predict(arrays, verbose=0)
    else:
        logits = keras.Model.predict_on_batch(task, arrays)
    return with_probabilities(logits, multi_label=task.multi_label)


def _differences(expected: Mapping[str, Any], received: Mapping[str, Any]) -> dict[str, float]:
    """Largest absolute difference over all outputs, and the largest as a share of an output's scale.

    An output that is missing, or a value that is not finite, counts as infinitely far.
    """
    if set(expected) != set(received):
        return {"max_abs": float("inf"), "max_relative": float("inf")}
    largest = {"max_abs": 0.0, "max_relative": 0.0}
    for name, values in expected.items():
        values = keras.ops.convert_to_numpy(values)
        difference = np.abs(values - np.asarray(received[name])).max()
        difference = float(difference) if np.isfinite(difference) else float("inf")
        scale = max(float(np.abs(values).max()), 1.0)
        largest["max_abs"] = max(largest["max_abs"], difference)
        largest["max_relative"] = max(largest["max_relative"], difference / scale)
    return largest


def _random(task: keras.Model, endpoint: Endpoint, rng: np.random.Generator) -> Arrays:
    arrays = {}
    for name, spec in endpoint.inputs.items():
        shape, dtype = (_BATCH, *spec.shape[1:]), str(spec.dtype)
        if dtype == "uint8":
            arrays[name] = rng.integers(0, 256, shape, np.uint8)
        elif dtype.startswith("int"):
            arrays[name] = rng.integers(0, task.backbone.streams[name].vocabulary_size, shape).astype(dtype)
        elif endpoint.kind == "raw":
            arrays[name] = rng.uniform(-1.0, 1.0, shape).astype(dtype)
        else:
            arrays[name] = rng.normal(size=shape).astype(dtype)
    return arrays


def _real_clips(task: keras.Model) -> Arrays:
    """Returns sound and picture of decoded clips, if the model reads these streams and no others."""
    clip: ClipGeometry | None = getattr(task.preprocessor, "geometry", None)
    streams: Sequence[str] = list(task.backbone.streams)
    if clip is None or not set(streams) <= {"audio", "video"}:
        return {}
    plans = [plan for plan in plan_clips("test", 32, 0) if plan.visible and plan.audible][:_BATCH]
    windows = []
    with tempfile.TemporaryDirectory() as folder:
        for plan in plans:
            path = Path(folder) / plan.path
            path.parent.mkdir(parents=True, exist_ok=True)
            write_clip(folder, plan)
            windows.append(decode_window(path, clip, streams=tuple(streams)))
    return {name: np.stack([getattr(window, name) for window in windows]) for name in streams}


def _from_clips(task: keras.Model, endpoint: Endpoint, clips: Arrays) -> Arrays:
    arrays = {name: clips[name] for name in endpoint.inputs}
    if endpoint.kind == "raw":
        return arrays
    return {name: keras.ops.convert_to_numpy(values) for name, values in task.preprocessor(arrays).items()}
