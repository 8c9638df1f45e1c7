"""What a flow model serves: flow in pixels, of preprocessed or of raw frames, and its two halves."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from zorro_keras.applications.pipelines.flow_drawing import Motion, draw_scene
from zorro_keras.applications.training.endpoints import PARITY_BATCH, Argument, Endpoint
from zorro_keras.applications.training.perceiver_endpoints import perceiver_endpoints


def flow_endpoints(task: keras.Model) -> list[Endpoint]:
    """Returns the endpoints of an `OpticalFlow`.

    `serve` takes `frames`, float32 `(B, 2, Y, X, 3)` in [-1, 1], `serve_raw` the same as uint8. Both answer
    with `flow`, float32 `(B, Y, X, 2)` in pixels, u to the right, then v down. `encode` returns the latents,
    `decode` takes them and the frames, whose pixels ask. Sizes are the model's: larger pictures are cut into
    tiles by whoever asks.
    """
    endpoints = [
        endpoint if endpoint.kind == "encode" else _in_pixels(endpoint, task.flow_scale)
        for endpoint in perceiver_endpoints(task.backbone)
    ]
    return endpoints if task.preprocessor is None else [*endpoints, _raw(task, endpoints[0])]


def _in_pixels(endpoint: Endpoint, scale: float) -> Endpoint:
    def scaled(answers: Mapping[str, Any]) -> dict[str, Any]:
        return {"flow": keras.ops.cast(answers["flow"], "float32") * scale}

    ask = None if endpoint.ask is None else lambda inputs: scaled(endpoint.ask(inputs))
    return dataclasses.replace(endpoint, answer=lambda inputs: scaled(endpoint.answer(inputs)), ask=ask)


def _raw(task: keras.Model, serve: Endpoint) -> Endpoint:
    shape = task.backbone.streams["frames"].shape

    def ask(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"flow": task.predict(inputs, verbose=0)["flow"] * task.flow_scale}

    def real() -> dict[str, Any]:
        rng, motion = np.random.default_rng(0), Motion(2.0, 3.0)
        scenes = [draw_scene(*shape[1:3], 2, motion, rng) for _ in range(PARITY_BATCH)]
        return {"frames": np.stack([scene.frames for scene in scenes])}

    return Endpoint(
        "serve_raw",
        "raw",
        {"frames": Argument(("batch", *shape), "uint8")},
        ask=ask,
        preprocess=lambda inputs: {"frames": task.preprocessor(dict(inputs))["frames"]},
        serves=serve.name,
        real=real,
    )
