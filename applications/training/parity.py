"""Compares a SavedModel with the model in this process, endpoint by endpoint."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zorro_keras.applications.pipelines.faults import TrainingError
from zorro_keras.applications.training.endpoints import PARITY_BATCH, Argument, Endpoint, endpoints_of

Arrays = dict[str, np.ndarray]
# Other open axes; a prime, so that no other axis is as long by chance.
_LENGTH = 11


def parity_report(
    model: keras.Model, saved_model: str | os.PathLike[str], *, tolerance: float
) -> dict[str, Any]:
    """Runs every endpoint and the model on random inputs and, where the endpoint has some, on real ones.

    Args:
        model: the model that was exported.
        saved_model: folder of the SavedModel.
        tolerance: float. The largest difference allowed, as a share of the largest value of an output (of 1
            for smaller ones).

    Returns:
        Dict with `tolerance`, `worst`, and `endpoints`: for each the `random` and perhaps `real`
        differences: `max_abs` and `max_relative`.

    Raises:
        TrainingError: if an endpoint differs by more than the tolerance, or is not finite.
    """
    loaded = tf.saved_model.load(str(saved_model))
    rng = np.random.default_rng(0)
    report: dict[str, Any] = {"tolerance": tolerance, "endpoints": {}}
    for endpoint in endpoints_of(model):
        inputs = {"random": _random(endpoint, rng)}
        if endpoint.real is not None:
            inputs["real"] = endpoint.real()
        ask = endpoint.ask or _compiled(model, endpoint.answer)
        with _whole_float32():
            report["endpoints"][endpoint.name] = {
                kind: differences(ask(arrays), getattr(loaded, endpoint.name)(arrays), endpoint.points_into)
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


def differences(
    expected: Mapping[str, Any], received: Mapping[str, Any], points_into: Mapping[str, str] | None = None
) -> dict[str, float]:
    """Largest absolute difference over all outputs, and the largest as a share of an output's scale.

    Args:
        expected, received: dicts of output to array or tensor. One that is missing, or a value that is not
            finite, counts as infinitely far.
        points_into: as of an `Endpoint`.

    Returns:
        Dict with `max_abs` and `max_relative`.
    """
    if set(expected) != set(received):
        return {"max_abs": float("inf"), "max_relative": float("inf")}
    sides = [_pointed_at(side, points_into or {}) for side in (expected, received)]
    largest = {"max_abs": 0.0, "max_relative": 0.0}
    for name, values in sides[0].items():
        difference = np.abs(values - sides[1][name]).max()
        difference = float(difference) if np.isfinite(difference) else float("inf")
        scale = max(float(np.abs(values).max()), 1.0)
        largest["max_abs"] = max(largest["max_abs"], difference)
        largest["max_relative"] = max(largest["max_relative"], difference / scale)
    return largest


def _pointed_at(outputs: Mapping[str, Any], points_into: Mapping[str, str]) -> Arrays:
    """The outputs as numpy arrays, indices replaced by the values that they point at."""
    arrays = {name: np.asarray(keras.ops.convert_to_numpy(values)) for name, values in outputs.items()}
    for name, target in points_into.items():
        arrays[name] = np.take_along_axis(arrays[target], arrays[name], axis=-1)
    return arrays


class _Asked(keras.Model):
    """A function of a model as a model, so that it runs compiled, as `predict` does."""

    def __init__(self, model: keras.Model, answer: Callable[[Any], Any]) -> None:
        super().__init__(name="asked")  # TensorFlow takes no name that begins with an underscore
        self.model, self.answer = model, answer
        self.built = True

    def call(self, inputs):
        return self.answer(inputs)


def _compiled(model: keras.Model, answer: Callable[[Any], Any]) -> Callable[[Arrays], Mapping[str, Any]]:
    return _Asked(model, answer).predict_on_batch


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


def _random(endpoint: Endpoint, rng: np.random.Generator) -> Arrays:
    sizes = {
        axis: min(_LENGTH, endpoint.limits.get(axis, _LENGTH))
        for argument in endpoint.inputs.values()
        for axis in argument.shape
        if isinstance(axis, str)
    }
    sizes["batch"] = PARITY_BATCH
    return {
        name: _draw(rng, argument, tuple(sizes.get(axis, axis) for axis in argument.shape))
        for name, argument in endpoint.inputs.items()
    }


def _draw(rng: np.random.Generator, argument: Argument, shape: tuple[int, ...]) -> np.ndarray:
    if argument.dtype == "bool":
        return rng.random(shape) < 0.8
    if argument.dtype == "uint8":
        return rng.integers(0, 256, shape, np.uint8)
    if argument.dtype.startswith("int"):
        return rng.integers(0, argument.below, shape).astype(argument.dtype)
    return rng.normal(size=shape).astype(argument.dtype)
