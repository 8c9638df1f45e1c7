"""The stages of a model: what each makes, what it holds and what it costs."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import jax
import keras

from zorro_keras.applications.plan.flops import flops_by_scope
from zorro_keras.applications.plan.shapes_only import ShapedModel

REST = "the rest"


@dataclasses.dataclass(frozen=True)
class Stage:
    """One layer of a model's graph, or several alike in a row.

    Attributes:
        name: of the layer; "block_0 ... block_11" for several.
        shapes: tuple of its outputs' shapes without the batch.
        parameters: int, of one such layer.
        forward_flops: int, of one such layer and one example.
        count: int, how many such layers stand in a row.
    """

    name: str
    shapes: tuple[tuple[int, ...], ...]
    parameters: int
    forward_flops: int
    count: int = 1


def stages_of(shaped: ShapedModel) -> list[Stage]:
    """Returns the layers of a model in the order of its graph, and what belongs to none.

    Args:
        shaped: the model, with a batch of one example.

    Shapes are those of the graph, over all queries. FLOPs are those of what a step of training asks for.
    """
    layers = list(_layers(shaped.model))
    names = {layer.name for layer in layers}

    def place(scope: str) -> str:
        return next((part for part in scope.split("/") if part in names), REST)

    counts = flops_by_scope(forward_program(shaped), place)
    stages = [Stage(layer.name, _shapes(layer), layer.count_params(), counts[layer.name]) for layer in layers]
    if counts[REST]:
        stages.append(Stage(REST, (), 0, counts[REST]))
    return list(_joined(stages))


def forward_program(shaped: ShapedModel) -> Any:
    """Traces a call of the model on the inputs of its batch."""
    trained, others, *_ = shaped.state
    return jax.make_jaxpr(shaped.model.stateless_call)(trained, others, shaped.data[0])


def training_program(shaped: ShapedModel) -> Any:
    """Traces a step of training on the batch."""
    return jax.make_jaxpr(shaped.model.train_step)(shaped.state, shaped.data)


def tokens_of(backbone: keras.Model) -> dict[str, int]:
    """Returns how many tokens a backbone makes of each stream, and how many of its own it has beside them."""
    tokens = {name: stream.num_tokens for name, stream in backbone.streams.items()}
    if (fused := getattr(backbone, "num_fusion_tokens", None)) is not None:
        tokens["fusion"] = fused
    if (encoder := getattr(backbone, "encoder", None)) is not None:
        tokens["latents"] = encoder.num_latents
    return tokens


def _layers(model: keras.Model) -> Iterator[keras.Layer]:
    """Yields the layers of a task's model, and those of its backbone in its place."""
    for layer in model.layers:
        if layer is model.backbone and layer is not model:
            yield from _layers_of_graph(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield layer


def _layers_of_graph(backbone: keras.Model) -> Iterator[keras.Layer]:
    return (layer for layer in backbone.layers if not isinstance(layer, keras.layers.InputLayer))


def _shapes(layer: keras.Layer) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(tensor.shape[1:]) for tensor in keras.tree.flatten(layer.output))


def _joined(stages: list[Stage]) -> Iterator[Stage]:
    """Yields stages; those in a row that differ in the number in their name alone become one."""
    while stages:
        first, count = stages[0], 1
        while count < len(stages) and _unnumbered(stages[count]) == _unnumbered(first):
            count += 1
        last, stages = stages[count - 1], stages[count:]
        name = first.name if count == 1 else f"{first.name} ... {last.name}"
        yield dataclasses.replace(first, name=name, count=count)


def _unnumbered(stage: Stage) -> Stage:
    return dataclasses.replace(stage, name=re.sub(r"\d+", "#", stage.name))
