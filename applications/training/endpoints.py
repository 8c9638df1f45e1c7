"""The entry points of an exported classifier: what each one takes, and what it computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import keras


@dataclass(frozen=True)
class Endpoint:
    """One entry point of a SavedModel.

    Attributes:
        name: str, such as `serve_audio_video`.
        kind: "serve" takes what the model reads and answers with probabilities and logits; "raw" does so from
            waveforms and pixels; "embed" answers with the features of the backbone.
        inputs: dict of stream to `keras.InputSpec`, the batch axis open. A stream that is not here cannot
            reach the answer: the endpoint has no input for it.
    """

    name: str
    kind: Literal["serve", "raw", "embed"]
    inputs: Mapping[str, keras.InputSpec]


def endpoints_of(task: keras.Model) -> list[Endpoint]:
    """Returns the endpoints of a classifier, the one with all its streams first.

    There is a `serve_*` and an `embed_*` for every subset of the streams. Where the preprocessor knows the
    clip, `serve_raw` takes raw streams, and `serve_raw_*` some of them.
    """
    model_specs = {
        name: keras.InputSpec(shape=(None, *stream.shape), dtype=stream.dtype, name=name)
        for name, stream in task.backbone.streams.items()
    }
    raw_specs = raw_inputs(task, model_specs)
    endpoints = []
    for subset in reversed(subsets_of(model_specs)):
        chosen, suffix = {name: model_specs[name] for name in subset}, "_".join(subset)
        endpoints.append(Endpoint(f"serve_{suffix}", "serve", chosen))
        endpoints.append(Endpoint(f"embed_{suffix}", "embed", chosen))
        if raw_specs:
            name = "serve_raw" if len(subset) == len(model_specs) else f"serve_raw_{suffix}"
            endpoints.append(Endpoint(name, "raw", {stream: raw_specs[stream] for stream in subset}))
    return endpoints


def raw_inputs(task: keras.Model, model_specs: Mapping[str, keras.InputSpec]) -> dict[str, keras.InputSpec]:
    """Returns what the preprocessor takes, by stream: empty if it does not say which clip it expects."""
    clip = getattr(task.preprocessor, "geometry", None)
    if clip is None:
        return {}
    raw = {
        "audio": keras.InputSpec(shape=(None, clip.num_samples), dtype="float32", name="audio"),
        "video": keras.InputSpec(
            shape=(None, clip.num_frames, clip.height_px, clip.width_px, 3), dtype="uint8", name="video"
        ),
    }
    return {name: raw.get(name, spec) for name, spec in model_specs.items()}


def subsets_of(streams: Mapping[str, Any] | tuple[str, ...]) -> list[tuple[str, ...]]:
    """Returns every non-empty subset of the streams, the small ones first, each in the streams' order."""
    names = tuple(streams)
    return [subset for size in range(1, len(names) + 1) for subset in combinations(names, size)]


def answer_of(task: keras.Model, kind: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Returns the function of preprocessed streams that "serve" or "embed" endpoints run.

    "serve" gives `<head>_logits` and `<head>_probabilities`, float32 `(B, K)`; "embed" gives the backbone's
    outputs by name, `(B, D)`.
    """

    def embed(inputs):
        return task.backbone(inputs, training=False)

    def serve(inputs):
        return with_probabilities(task(inputs, training=False), multi_label=task.multi_label)

    return {"embed": embed, "serve": serve}[kind]


def with_probabilities(logits: Mapping[str, Any], *, multi_label: bool) -> dict[str, Any]:
    """Returns `<head>_logits` and `<head>_probabilities` for a dict of head to logits `(B, K)`."""
    to_probabilities = keras.ops.sigmoid if multi_label else keras.ops.softmax
    answers = {}
    for head, values in logits.items():
        answers[f"{head}_logits"] = values
        answers[f"{head}_probabilities"] = to_probabilities(values)
    return answers
