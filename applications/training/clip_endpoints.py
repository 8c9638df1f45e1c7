"""What a task on sound and picture serves: every subset of its streams, preprocessed or raw."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zorro_keras.applications.training.endpoints import (
    PARITY_BATCH,
    Argument,
    Endpoint,
    subsets_of,
)


def clip_endpoints(task: keras.Model) -> list[Endpoint]:
    """Returns the endpoints of a task of streams, the one with all its streams first.

    There is a `serve_*` and an `embed_*` for every subset of the streams; a stream that is not in the name
    is no input, and cannot reach the answer. Where the preprocessor knows the clip, `serve_raw` takes
    waveforms and pixels, and `serve_raw_*` some of them.

    Args:
        task: model of streams with a `backbone`, and `served(outputs)`: what a client gets of its outputs.
    """
    arguments = {
        name: Argument(("batch", *stream.shape), stream.dtype, getattr(stream, "vocabulary_size", None))
        for name, stream in task.backbone.streams.items()
    }
    raw = _raw_arguments(task, arguments)
    clips = functools.cache(lambda: _real_clips(task)) if raw and set(raw) <= {"audio", "video"} else None
    endpoints = []
    for subset in reversed(subsets_of(arguments)):
        endpoints += _of_subset(task, {name: arguments[name] for name in subset}, clips)
        if raw:
            whole = len(subset) == len(arguments)
            chosen = {name: raw[name] for name in subset}
            endpoints.append(_raw(task, "serve_raw" if whole else None, chosen, clips))
    return endpoints


def _of_subset(
    task: keras.Model, arguments: dict[str, Argument], clips: Callable[[], dict] | None
) -> list[Endpoint]:
    def serve(inputs: dict[str, Any]) -> dict[str, Any]:
        return task.served(task(inputs, training=False))

    def ask(inputs: dict[str, Any]) -> dict[str, Any]:
        # `keras.Model`'s, because that of a keras-hub task would preprocess the batch again.
        return task.served(keras.Model.predict_on_batch(task, inputs))

    def embed(inputs: dict[str, Any]) -> dict[str, Any]:
        return task.backbone(inputs, training=False)

    def read() -> dict[str, Any]:
        read = task.preprocessor({name: clips()[name] for name in arguments})
        return {name: keras.ops.convert_to_numpy(values) for name, values in read.items()}

    suffix, real = "_".join(arguments), None if clips is None else read
    ask_backbone = functools.partial(keras.Model.predict_on_batch, task.backbone)
    return [
        Endpoint(f"serve_{suffix}", "serve", arguments, serve, ask=ask, real=real),
        Endpoint(f"embed_{suffix}", "embed", arguments, embed, ask=ask_backbone, real=real),
    ]


def _raw(
    task: keras.Model, name: str | None, arguments: dict[str, Argument], clips: Callable[[], dict] | None
) -> Endpoint:
    serves = f"serve_{'_'.join(arguments)}"

    def ask(inputs: dict[str, Any]) -> dict[str, Any]:
        return task.served(task.predict(inputs, verbose=0))

    return Endpoint(
        name or f"serve_raw_{'_'.join(arguments)}",
        "raw",
        arguments,
        ask=ask,
        preprocess=task.preprocessor,
        serves=serves,
        real=None if clips is None else lambda: {stream: clips()[stream] for stream in arguments},
    )


def _raw_arguments(task: keras.Model, arguments: dict[str, Argument]) -> dict[str, Argument]:
    """What the preprocessor takes, by stream: empty if it does not say which clip it expects."""
    clip = getattr(task.preprocessor, "geometry", None)
    if clip is None:
        return {}
    raw = {
        "audio": Argument(("batch", clip.num_samples)),
        "video": Argument(("batch", clip.num_frames, clip.height_px, clip.width_px, 3), "uint8"),
    }
    return {name: raw.get(name, argument) for name, argument in arguments.items()}


def _real_clips(task: keras.Model) -> dict[str, np.ndarray]:
    """Sound and picture of clips that were encoded and decoded."""
    from zorro_keras.applications.pipelines.generated_clips import plan_clips, write_clip
    from zorro_keras.applications.pipelines.media import decode_window

    streams = tuple(task.backbone.streams)
    plans = [plan for plan in plan_clips("test", 32, 0) if plan.visible and plan.audible][:PARITY_BATCH]
    windows = []
    with tempfile.TemporaryDirectory() as folder:
        for plan in plans:
            path = Path(folder) / plan.path
            path.parent.mkdir(parents=True, exist_ok=True)
            write_clip(folder, plan)
            windows.append(decode_window(path, task.preprocessor.geometry, streams=streams))
    return {name: np.stack([getattr(window, name) for window in windows]) for name in streams}
