"""What an image classifier serves: classes of preprocessed or whole pictures, and its two halves."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from zorro_keras.applications.pipelines.image_drawing import FORMS, draw
from zorro_keras.applications.training.endpoints import PARITY_BATCH, Argument, Endpoint, with_probabilities
from zorro_keras.applications.training.perceiver_endpoints import perceiver_endpoints

_TOP = 5
# Of the pictures that `serve_raw` is compared on: neither side is likely to be the model's own.
_HEIGHT_PX, _WIDTH_PX = 97, 121


def image_endpoints(task: keras.Model) -> list[Endpoint]:
    """Returns the endpoints of a classifier.

    `serve` takes preprocessed pictures, `serve_raw` whole ones, uint8 `(B, Y, X, 3)` of any size, which it
    crops and resizes as evaluation does. `decode` takes the latents that `encode` returns. All three answer
    with `label_logits` and `label_probabilities` `(B, K)`, and with `label_top_probabilities` and
    `label_top_classes` `(B, 5)`, the most probable first; `assets/labels.json` names the classes.
    """
    endpoints = [
        endpoint if endpoint.kind == "encode" else _with_top(endpoint)
        for endpoint in perceiver_endpoints(task)
    ]
    return endpoints if task.preprocessor is None else [*endpoints, _raw(task, endpoints[0])]


def with_top(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the answers with the most probable classes of `label_probabilities` and what they get."""
    probabilities = ops.convert_to_tensor(answers["label_probabilities"])
    # Sorted: TensorFlow cannot run the program that JAX writes for `top_k`.
    classes = ops.argsort(-probabilities, axis=-1)[:, :_TOP]
    values = ops.take_along_axis(probabilities, classes, axis=-1)
    top = {"label_top_probabilities": values, "label_top_classes": ops.cast(classes, "int32")}
    return {**answers, **top}


def _with_top(endpoint: Endpoint) -> Endpoint:
    ask = None if endpoint.ask is None else lambda inputs: with_top(endpoint.ask(inputs))
    return dataclasses.replace(
        endpoint,
        answer=lambda inputs: with_top(endpoint.answer(inputs)),
        ask=ask,
        points_into={"label_top_classes": "label_probabilities"},
    )


def _raw(task: keras.Model, serve: Endpoint) -> Endpoint:
    preprocessor = task.preprocessor

    def preprocess(inputs: dict[str, Any]) -> dict[str, Any]:
        from zorro_keras.applications.pipelines.image_crops import evaluation_view

        view = evaluation_view(inputs["image"], preprocessor.size_px, preprocessor.crop_fraction)
        return {"image": preprocessor({"image": view})["image"]}

    def ask(inputs: dict[str, Any]) -> dict[str, Any]:
        logits = task.predict(inputs, verbose=0)
        return with_top(with_probabilities(logits, multi_label=False))

    return Endpoint(
        "serve_raw",
        "raw",
        {"image": Argument(("batch", "height", "width", 3), "uint8")},
        ask=ask,
        preprocess=preprocess,
        serves=serve.name,
        real=_real_pictures,
        points_into=serve.points_into,
    )


def _real_pictures() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "image": np.stack([draw(form, _HEIGHT_PX, _WIDTH_PX, rng) for form in list(FORMS)[:PARITY_BATCH]])
    }
