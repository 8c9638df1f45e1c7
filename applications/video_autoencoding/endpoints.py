"""What a video autoencoder serves: whole clips, its two halves, and raw media."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from zorro_keras.applications.training.endpoints import PARITY_BATCH, Argument, Endpoint
from zorro_keras.applications.video_autoencoding.autoencoder import VideoAutoencoder

_INPUTS = ("audio", "image")


def autoencoder_endpoints(task: VideoAutoencoder) -> list[Endpoint]:
    """Returns the endpoints of an autoencoder.

    - `serve` takes `audio` `(B, S)` and `image` `(B, F, Y, X, 3)` and rebuilds them; the label is hidden, and
      read from the clip: `label_logits`, `label_probabilities`. `serve_audio` and `serve_image` take one of
      the two, and rebuild both.
    - `encode` takes the same as `serve`, and returns `latents` `(B, L, D)`: the compressed clip. `decode`
      takes latents and returns what `serve` does.
    - `serve_raw` takes `audio` and `video`, uint8, and answers as `serve`.
    """
    arguments = {name: Argument(("batch", *task.backbone.streams[name].shape)) for name in _INPUTS}
    endpoints = [_serve(task, "serve", arguments)]
    endpoints += [_serve(task, f"serve_{name}", {name: arguments[name]}) for name in _INPUTS]
    endpoints += [Endpoint("encode", "encode", arguments, _encode(task)), _decode(task)]
    return endpoints if task.preprocessor is None else [*endpoints, _raw(task)]


def _serve(task: VideoAutoencoder, name: str, arguments: dict[str, Argument]) -> Endpoint:
    def serve(inputs: dict[str, Any]) -> dict[str, Any]:
        return task.as_clip(task(inputs, training=False))

    def ask(inputs: dict[str, Any]) -> dict[str, Any]:
        # `keras.Model`'s, because that of a keras-hub task would preprocess the batch again.
        return task.as_clip(keras.Model.predict_on_batch(task, inputs))

    return Endpoint(name, "serve", arguments, serve, ask=ask)


def _encode(task: VideoAutoencoder) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda inputs: {"latents": task.backbone.encode(inputs, training=False)}


def _decode(task: VideoAutoencoder) -> Endpoint:
    encoder = task.backbone.encoder
    latents = {"latents": Argument(("batch", encoder.num_latents, encoder.latent_dim))}

    def decode(inputs: dict[str, Any]) -> dict[str, Any]:
        return task.as_clip(task.decode(inputs["latents"]))

    return Endpoint("decode", "decode", latents, decode)


def _raw(task: VideoAutoencoder) -> Endpoint:
    clip = task.preprocessor.geometry
    arguments = {
        "audio": Argument(("batch", clip.num_samples)),
        "video": Argument(("batch", clip.num_frames, clip.height_px, clip.width_px, 3), "uint8"),
    }

    def ask(inputs: dict[str, Any]) -> dict[str, Any]:
        return task.as_clip(task.predict(inputs, verbose=0))

    def real() -> dict[str, np.ndarray]:
        rng = np.random.default_rng(0)
        times = np.arange(clip.num_samples) / clip.sample_rate_hz
        tones = [
            np.sin(2 * np.pi * pitch_hz * times) / 2 for pitch_hz in 100 * np.arange(1, PARITY_BATCH + 1)
        ]
        shape = (PARITY_BATCH, clip.num_frames, clip.height_px, clip.width_px, 3)
        return {"audio": np.stack(tones).astype("float32"), "video": rng.integers(0, 256, shape, "uint8")}

    return Endpoint(
        "serve_raw", "raw", arguments, ask=ask, preprocess=task.preprocessor, serves="serve", real=real
    )
