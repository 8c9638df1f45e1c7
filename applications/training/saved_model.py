"""Writes a model as a SavedModel, in the backend of this process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from zorro_keras.applications.training.endpoints import Argument, Endpoint, endpoints_of

# A program for one platform only would fail on the others: JAX writes one that has them all.
_JAX_PLATFORMS = ("cpu", "cuda", "tpu")


def write_saved_model(model: keras.Model, out: str | os.PathLike[str]) -> None:
    """Writes a SavedModel with every endpoint of `endpoints_of`, and `assets/labels.json`.

    The batch axis is open. Inputs and outputs have names, so their order cannot matter.

    Args:
        model: the trained task, or a backbone.
        out: folder to write.
    """
    archive = keras.export.ExportArchive()
    archive.track(model)
    endpoints = endpoints_of(model)
    served = {}
    for endpoint in endpoints:
        if endpoint.serves is None:
            signature = [{name: _spec(name, argument) for name, argument in endpoint.inputs.items()}]
            with _kernels_of_every_platform():
                served[endpoint.name] = archive.add_endpoint(
                    endpoint.name, endpoint.answer, signature, **_options(endpoint)
                )
    for endpoint in endpoints:
        if endpoint.serves is not None:
            archive.add_endpoint(endpoint.name, _raw_function(endpoint, served[endpoint.serves]))
    archive.write_out(str(out), verbose=False)
    labels = json.dumps(describe(model, endpoints), indent=2) + "\n"
    assets = Path(out) / "assets"
    assets.mkdir(exist_ok=True)
    (assets / "labels.json").write_text(labels, encoding="utf-8")


def describe(model: keras.Model, endpoints: list[Endpoint]) -> dict[str, Any]:
    """Returns what a client must know: class names in the order of the logits, and the inputs by endpoint."""
    preprocessor = getattr(model, "preprocessor", None)
    names = getattr(preprocessor, "label_names", ())
    clip = getattr(preprocessor, "geometry", None)
    return {
        "label_names": dict(names) if isinstance(names, dict) else list(names),
        "multi_label": getattr(model, "multi_label", False),
        "clip": None if clip is None else clip.get_config(),
        "kinds": {endpoint.name: endpoint.kind for endpoint in endpoints},
        "endpoints": {
            endpoint.name: {
                name: {"shape": list(argument.open_shape), "dtype": argument.dtype}
                for name, argument in endpoint.inputs.items()
            }
            for endpoint in endpoints
        },
    }


@contextmanager
def _kernels_of_every_platform() -> Iterator[None]:
    """On the accelerator of this process attention may have a kernel that no other has."""
    enabled = keras.config.is_flash_attention_enabled() is not False
    keras.config.disable_flash_attention()
    try:
        yield
    finally:
        if enabled:
            keras.config.enable_flash_attention()


def _spec(name: str, argument: Argument) -> keras.InputSpec:
    return keras.InputSpec(shape=argument.open_shape, dtype=argument.dtype, name=name)


def _options(endpoint: Endpoint) -> dict[str, Any]:
    if keras.backend.backend() != "jax":
        return {}
    # Named, so that JAX knows which open axes are the same; Keras would take each for one of its own.
    shapes = {
        name: "(" + ", ".join(map(str, argument.shape)) + ")" for name, argument in endpoint.inputs.items()
    }
    limits = tuple(f"{axis} <= {most}" for axis, most in endpoint.limits.items())
    return {
        "jax2tf_kwargs": {
            "native_serialization_platforms": _JAX_PLATFORMS,
            "polymorphic_shapes": [shapes],
            "polymorphic_constraints": limits,
            "with_gradient": False,  # serving has no use for it, and it forgets the limits
        }
    }


def _raw_function(endpoint: Endpoint, serve: Any) -> Any:
    """Returns a traced function that preprocesses in TensorFlow, whatever the backend, and then serves."""
    signature = {
        name: tf.TensorSpec(argument.open_shape, argument.dtype, name=name)
        for name, argument in endpoint.inputs.items()
    }

    @tf.function(input_signature=[signature], autograph=False)
    def answer(inputs):
        return serve(endpoint.preprocess(inputs))

    answer.get_concrete_function()
    return answer
