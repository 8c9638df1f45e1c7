"""The entry points of an exported model: what each takes, what it computes, and how to check it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import keras

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.models import PerceiverIOBackbone

Tensors = dict[str, Any]
# Examples in a comparison: `real` inputs have as many as random ones, or would be compiled again.
PARITY_BATCH = 3


@dataclass(frozen=True)
class Argument:
    """One input of an endpoint.

    Attributes:
        shape: tuple of int or str. A str names an open axis; arguments of one endpoint that name the same
            axis have the same size there. The first axis of most is "batch".
        dtype: str, such as "float32".
        below: optional int. Of ints: all lie in [0, below).
    """

    shape: tuple[int | str, ...]
    dtype: str = "float32"
    below: int | None = None

    @property
    def open_shape(self) -> tuple[int | None, ...]:
        """The shape with `None` for open axes."""
        return tuple(size if isinstance(size, int) else None for size in self.shape)


@dataclass(frozen=True)
class Endpoint:
    """One entry point of a SavedModel.

    Attributes:
        name: str, such as `serve_audio_video`.
        kind: str. What it answers with, told to clients: "serve" (logits and probabilities), "raw" (the same
            from raw media), "embed" (features), "encode" (latents), "decode" (what latents answer).
        inputs: dict of name to `Argument`. What is not here cannot reach the answer.
        answer: function of a dict of tensors, as `inputs` says, to a dict of tensors, in Keras; `None` where
            it `serves` another endpoint, which answers.
        ask: optional function of a dict of arrays: what users of the model in this process are told. By
            default a compiled call of `answer`.
        preprocess: optional function, in TensorFlow on every backend, from `inputs` to those of `serves`.
        serves: optional str. Name of the endpoint that answers what `preprocess` makes.
        real: optional function that returns real inputs of a batch, to compare beside random ones.
        points_into: dict of an output of indices to the output whose last axis they point into. Near ties
            may fall either way, so they are compared by what they point at.
        limits: dict of an open axis to the most it may be.
    """

    name: str
    kind: str
    inputs: Mapping[str, Argument]
    answer: Callable[[Tensors], Tensors] | None = None
    ask: Callable[[Tensors], Mapping[str, Any]] | None = None
    preprocess: Callable[[Tensors], Tensors] | None = None
    serves: str | None = None
    real: Callable[[], Tensors] | None = None
    points_into: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)


def endpoints_of(model: keras.Model) -> list[Endpoint]:
    """Returns what a model serves: what it declares by `export_endpoints`, or what every Perceiver IO can.

    Args:
        model: a task, or a `PerceiverIOBackbone`.

    Raises:
        ConfigError: if nothing says what the model serves.
    """
    if hasattr(model, "export_endpoints"):
        return model.export_endpoints()
    if isinstance(getattr(model, "backbone", model), PerceiverIOBackbone):
        from zorro_keras.applications.training.perceiver_endpoints import perceiver_endpoints

        return perceiver_endpoints(model)
    raise ConfigError(
        "A model must say what it serves: a method `export_endpoints` that returns a list of `Endpoint`. "
        f"Received: {type(model).__name__}",
        stage="export", reason="bad_value",
    )  # fmt: skip


def subsets_of(streams: Iterable[str]) -> list[tuple[str, ...]]:
    """Returns every non-empty subset of the streams, the small ones first, each in the streams' order."""
    names = tuple(streams)
    return [subset for size in range(1, len(names) + 1) for subset in combinations(names, size)]


def with_probabilities(logits: Mapping[str, Any], *, multi_label: bool) -> dict[str, Any]:
    """Returns `<head>_logits` and `<head>_probabilities` for a dict of head to logits `(..., K)`.

    What has K = 1 and is no label among several is a number: it is returned as `<head>_value`.
    """
    to_probabilities = keras.ops.sigmoid if multi_label else keras.ops.softmax
    answers = {}
    for head, values in logits.items():
        values = keras.ops.cast(values, "float32")
        if values.shape[-1] == 1 and not multi_label:
            answers[f"{head}_value"] = values
            continue
        answers[f"{head}_logits"] = values
        answers[f"{head}_probabilities"] = to_probabilities(values)
    return answers
