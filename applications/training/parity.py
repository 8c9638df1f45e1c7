"""Compares an export with the model in this process, endpoint by endpoint."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zorro_keras.applications.pipelines.faults import ConfigError, TrainingError
from zorro_keras.applications.training.endpoints import PARITY_BATCH, Endpoint, endpoints_of
from zorro_keras.applications.training.parity_inputs import Arrays, random_inputs
from zorro_keras.applications.training.served import open_served


def parity_report(
    model: keras.Model,
    export: str | os.PathLike[str],
    *,
    tolerance: float,
    batch: int = PARITY_BATCH,
    least_scale: float = 1.0,
    given: Mapping[str, np.ndarray] | None = None,
) -> dict[str, Any]:
    """Runs every endpoint and the model on random inputs and, where the endpoint has some, on real ones.

    Args:
        model: the model that was exported.
        export: folder of the export, of any format.
        tolerance: float. The largest difference allowed, as a share of the largest value of an output.
        batch: int >= 1. Random examples.
        least_scale: float. Of an output whose values are all smaller, the share is one of this.
        given: optional dict of name to array. Endpoints whose inputs are all there, in their shapes, are
            compared on these, too.

    Returns:
        Dict with `tolerance`, `worst`, and `endpoints`: for each the `random` and perhaps `real` and `given`
        differences: see `differences`.

    Raises:
        ConfigError: if `given` fits none of the endpoints.
        TrainingError: if an endpoint differs by more than the tolerance, or is not finite.
    """
    served, rng = open_served(export), np.random.default_rng(0)
    report: dict[str, Any] = {"tolerance": tolerance, "endpoints": {}}
    for endpoint in endpoints_of(model):
        if endpoint.name not in served:
            continue
        inputs = {"random": random_inputs(endpoint, rng, batch)}
        if endpoint.real is not None:
            inputs["real"] = endpoint.real()
        if given is not None and _fits(given, endpoint):
            inputs["given"] = {name: given[name] for name in endpoint.inputs}
        ask = endpoint.ask or _compiled(model, endpoint.answer)
        with _whole_float32():
            report["endpoints"][endpoint.name] = {
                kind: differences(
                    ask(arrays), served[endpoint.name](arrays), endpoint.points_into, least_scale
                )
                for kind, arrays in inputs.items()
            }
    if given is not None and not any("given" in kinds for kinds in report["endpoints"].values()):
        raise _fits_none(given)
    _judge(report, export)
    return report


def _judge(report: dict[str, Any], export: str | os.PathLike[str]) -> None:
    """Names the worst endpoint in the report, and refuses it where it is too far off."""
    by_size = {
        name: max(kind["max_relative"] for kind in kinds.values())
        for name, kinds in report["endpoints"].items()
    }
    report["worst"] = max(by_size, key=by_size.get)
    if not by_size[report["worst"]] <= report["tolerance"]:
        raise TrainingError(
            f"The endpoint `{report['worst']}` of the export differs from the model by "
            f"{by_size[report['worst']]:.3g}. Expected: at most {report['tolerance']:g}.",
            path=export,
            stage="export",
            reason="wrong_model",
            advice="Do not serve this export. Export again; if the difference stays, please report it.",
        )


def _fits(given: Mapping[str, np.ndarray], endpoint: Endpoint) -> bool:
    """Whether there is an array for each input, of its dtype and its shape."""
    return all(
        name in given
        and given[name].dtype == argument.dtype
        and given[name].ndim == len(argument.shape)
        and all(
            isinstance(size, str) or size == found
            for size, found in zip(argument.shape, given[name].shape, strict=True)
        )
        for name, argument in endpoint.inputs.items()
    )


def _fits_none(given: Mapping[str, np.ndarray]) -> ConfigError:
    found = {name: f"{values.dtype} {values.shape}" for name, values in given.items()}
    return ConfigError(
        f"The inputs must be those of an endpoint, by name. Received: {found}",
        stage="export",
        reason="bad_value",
        advice="`assets/labels.json` of an export lists the inputs of its endpoints.",
    )


def differences(
    expected: Mapping[str, Any],
    received: Mapping[str, Any],
    points_into: Mapping[str, str] | None = None,
    least_scale: float = 1.0,
) -> dict[str, float]:
    """How far two answers are apart: the largest differences over all outputs, and whether classes agree.

    Args:
        expected, received: dicts of output to array or tensor. One that is missing, or a value that is not
            finite, counts as infinitely far.
        points_into: as of an `Endpoint`.
        least_scale: float. The least that counts as the scale of an output.

    Returns:
        Dict with `max_abs`, the largest difference; `max_relative`, the largest as a share of the scale of an
        output; where there are logits, `top_1_agreement`: the share of rows whose largest is the same one, in
        the output that agrees least.
    """
    if set(expected) != set(received):
        return {"max_abs": float("inf"), "max_relative": float("inf")}
    sides = [_pointed_at(side, points_into or {}) for side in (expected, received)]
    largest = {"max_abs": 0.0, "max_relative": 0.0}
    for name, values in sides[0].items():
        difference = np.abs(values - sides[1][name]).max()
        difference = float(difference) if np.isfinite(difference) else float("inf")
        scale = max(float(np.abs(values).max()), least_scale)
        largest["max_abs"] = max(largest["max_abs"], difference)
        largest["max_relative"] = max(largest["max_relative"], difference / scale)
    agreements = [
        float((values.argmax(-1) == sides[1][name].argmax(-1)).mean())
        for name, values in sides[0].items()
        if name.endswith("_logits")
    ]
    return {**largest, "top_1_agreement": min(agreements)} if agreements else largest


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
