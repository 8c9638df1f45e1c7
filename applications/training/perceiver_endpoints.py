"""What every Perceiver IO serves: answers, latents to keep, and what kept latents answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from zorro_keras.applications.training.endpoints import Argument, Endpoint, subsets_of, with_probabilities
from zorro_keras.layers import LearnedArray
from zorro_keras.models import PerceiverIOBackbone
from zorro_keras.streams import Entities, Tokens

MASK_SUFFIX = "_padding_mask"


def perceiver_endpoints(model: keras.Model) -> list[Endpoint]:
    """Returns the endpoints of a `PerceiverIOBackbone`, or of a task on one.

    - `serve` takes the inputs and answers as a call does: of a task logits and probabilities, of a backbone
      its outputs. `encode` takes the same and returns `latents`, float `(B, L, D)`.
    - `decode` takes `latents`, and returns what `serve` does. `decode_rows` takes `rows` too, int `(R,)`, and
      answers those queries only; it is there where the one output has several learned queries.

    Inputs of ids and of entities may have any length up to the model's, and come with
    `<input>_padding_mask`, bool, True = real. Of several inputs, `serve` and `encode` take all, `serve_a_b`
    and `encode_a_b` some. Outputs that are asked by the elements of an input need it: `decode` then takes it
    beside the latents.
    """
    backbone = getattr(model, "backbone", model)
    endpoints = []
    for subset in reversed(subsets_of(backbone.streams)):
        if _answered(backbone, subset):
            name = "" if len(subset) == len(backbone.streams) else "_" + "_".join(subset)
            endpoints += _of_inputs(model, subset, name)
    return [*endpoints, *_of_latents(model)]


def stream_arguments(backbone: PerceiverIOBackbone, names: tuple[str, ...]) -> dict[str, Argument]:
    """Returns the arguments by which inputs are given: arrays, and of ids and entities their masks."""
    arguments = {}
    for name in names:
        stream = backbone.streams[name]
        if isinstance(stream, (Tokens, Entities)):
            shape = ("batch", _length(name), *stream.shape[1:])
            arguments[name] = Argument(shape, stream.dtype, getattr(stream, "vocabulary_size", None))
            arguments[name + MASK_SUFFIX] = Argument(shape[:2], "bool")
        else:
            arguments[name] = Argument(("batch", *stream.shape), stream.dtype)
    return arguments


def nested(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the inputs of an endpoint as a model takes them: the masks in a dict of their own."""
    masks = {
        name.removesuffix(MASK_SUFFIX): value for name, value in inputs.items() if name.endswith(MASK_SUFFIX)
    }
    arrays = {name: value for name, value in inputs.items() if not name.endswith(MASK_SUFFIX)}
    return {**arrays, "padding_mask": masks} if masks else arrays


def _of_inputs(model: keras.Model, names: tuple[str, ...], suffix: str) -> list[Endpoint]:
    backbone = getattr(model, "backbone", model)
    arguments, limits = stream_arguments(backbone, names), length_limits(backbone, names)

    def serve(inputs: dict[str, Any]) -> dict[str, Any]:
        return _named(model, model(nested(inputs), training=False))

    def ask(inputs: dict[str, Any]) -> dict[str, Any]:
        # `keras.Model`'s, because that of a keras-hub task would preprocess what it is given.
        return _named(model, keras.Model.predict_on_batch(model, nested(inputs)))

    def encode(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"latents": backbone.encode(nested(inputs), training=False)}

    return [
        Endpoint(f"serve{suffix}", "serve", arguments, serve, ask=ask, limits=limits),
        Endpoint(f"encode{suffix}", "encode", arguments, encode, limits=limits),
    ]


def _of_latents(model: keras.Model) -> list[Endpoint]:
    backbone = getattr(model, "backbone", model)
    outputs = backbone.output_adapters
    asking = {adapter.queries for adapter in outputs.values() if isinstance(adapter.queries, str)}
    sources = tuple(name for name in backbone.streams if name in asking)
    encoder = backbone.encoder
    arguments = {
        "latents": Argument(("batch", encoder.num_latents, encoder.latent_dim)),
        **stream_arguments(backbone, sources),
    }
    limits = length_limits(backbone, sources)

    def decode(inputs: dict[str, Any], rows: dict[str, Any] | None = None) -> dict[str, Any]:
        inputs = dict(inputs)
        latents = inputs.pop("latents")
        given = nested(inputs) if sources else None
        answers = backbone.decode(latents, rows=rows, inputs=given, training=False)
        return _named(model, _headed(model, answers))

    def decode_rows(inputs: dict[str, Any]) -> dict[str, Any]:
        (only,) = outputs
        others = {name: value for name, value in inputs.items() if name != "rows"}
        return decode(others, {only: inputs["rows"]})

    found = [Endpoint("decode", "decode", arguments, decode, limits=limits)]
    queries = [adapter.queries for adapter in outputs.values()]
    if len(queries) == 1 and isinstance(queries[0], LearnedArray) and queries[0].length > 1:
        arguments = {**arguments, "rows": Argument(("rows",), "int32", queries[0].length)}
        limits = {**limits, "rows": queries[0].length}
        found.append(Endpoint("decode_rows", "decode", arguments, decode_rows, limits=limits))
    return found


def _answered(backbone: PerceiverIOBackbone, names: tuple[str, ...]) -> bool:
    """Whether some output can be asked with these inputs alone."""
    queries = [adapter.queries for adapter in backbone.output_adapters.values()]
    return any(not isinstance(query, str) or query in names for query in queries)


def _named(model: keras.Model, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs of a backbone as they are, those of a task as logits and probabilities."""
    if isinstance(model, PerceiverIOBackbone):
        return dict(outputs)
    return with_probabilities(outputs, multi_label=getattr(model, "multi_label", False))


def _headed(model: keras.Model, answers: Mapping[str, Any]) -> dict[str, Any]:
    """What the heads of a task, layers on the first answer, make of its backbone's outputs; else these."""
    heads = getattr(model, "heads", None)
    if not isinstance(heads, Mapping):
        return dict(answers)
    return {name: heads[name](answer[:, 0]) for name, answer in answers.items()}


def length_limits(backbone: PerceiverIOBackbone, names: tuple[str, ...]) -> dict[str, int]:
    """Returns the most elements of each input that may have any length, by the name of its axis."""
    streams = {name: backbone.streams[name] for name in names}
    open_streams = {
        name: stream for name, stream in streams.items() if isinstance(stream, (Tokens, Entities))
    }
    return {_length(name): stream.length for name, stream in open_streams.items()}


def _length(name: str) -> str:
    return f"{name}_length"
