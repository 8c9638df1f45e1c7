"""Writes a classifier as a SavedModel, in the backend of this process."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from zorro_keras.applications.training.endpoints import Endpoint, answer_of, endpoints_of

# A program for one platform only would fail on the others: JAX writes one that has them all.
_JAX_PLATFORMS = ("cpu", "cuda", "tpu")


def write_saved_model(task: keras.Model, out: str | os.PathLike[str]) -> None:
    """Writes a SavedModel with every endpoint of `endpoints_of`, and `assets/labels.json`.

    The batch axis is open. Inputs and outputs have names, so their order cannot matter.

    Args:
        task: the trained task.
        out: folder to write.
    """
    archive = keras.export.ExportArchive()
    archive.track(task)
    endpoints = endpoints_of(task)
    served = {}
    for endpoint in endpoints:
        if endpoint.kind != "raw":
            answer, signature = answer_of(task, endpoint.kind), [dict(endpoint.inputs)]
            served[endpoint.name] = archive.add_endpoint(endpoint.name, answer, signature, **_options())
    for endpoint in endpoints:
        if endpoint.kind == "raw":
            serve = served["serve_" + "_".join(endpoint.inputs)]
            archive.add_endpoint(endpoint.name, _raw_function(task, endpoint, serve))
    archive.write_out(str(out), verbose=False)
    labels = json.dumps(describe(task, endpoints), indent=2) + "\n"
    assets = Path(out) / "assets"
    assets.mkdir(exist_ok=True)
    (assets / "labels.json").write_text(labels, encoding="utf-8")


def describe(task: keras.Model, endpoints: list[Endpoint]) -> dict[str, Any]:
    """Returns what a client must know: class names in the order of the logits, and the inputs by endpoint."""
    clip = getattr(task.preprocessor, "geometry", None)
    return {
        "label_names": list(getattr(task.preprocessor, "label_names", ())),
        "multi_label": task.multi_label,
        "clip": None if clip is None else clip.get_config(),
        "endpoints": {
            endpoint.name: {
                name: {"shape": list(spec.shape), "dtype": str(spec.dtype)}
                for name, spec in endpoint.inputs.items()
            }
            for endpoint in endpoints
        },
    }


def _options() -> dict[str, Any]:
    if keras.backend.backend() != "jax":
        return {}
    return {"jax2tf_kwargs": {"native_serialization_platforms": _JAX_PLATFORMS}}


def _raw_function(task: keras.Model, endpoint: Endpoint, serve: Any) -> Any:
    """Returns a traced function that preprocesses in TensorFlow, whatever the backend, and then serves."""
    signature = {
        name: tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in endpoint.inputs.items()
    }

    @tf.function(input_signature=[signature], autograph=False)
    def answer(inputs):
        return serve(task.preprocessor(inputs))

    answer.get_concrete_function()
    return answer
