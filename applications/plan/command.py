"""`zorro-keras plan`: what a configuration takes, before there are data or a device."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.plan.flops import total_flops
from zorro_keras.applications.plan.memory import USABLE, Footprint, footprint, largest_batch
from zorro_keras.applications.plan.shapes_only import ShapedModel, shaped_model
from zorro_keras.applications.plan.stages import forward_program, stages_of, tokens_of, training_program
from zorro_keras.applications.training.backend import precision, prepare_backend
from zorro_keras.applications.training.config import apply_overrides
from zorro_keras.applications.training.task import named_config, task_module


def plan(
    task: str,
    name: str,
    overrides: tuple[str, ...] = (),
    *,
    batch_size: int | None = None,
    device_bytes: int | None = None,
    num_classes: int | None = None,
) -> dict[str, Any]:
    """Predicts what a run takes; nothing of its size is allocated.

    Args:
        task: name of a task.
        name: of one of its configurations.
        overrides: changes of it, each `path.to.field=value`.
        batch_size: optional int >= 1. By default that of the configuration.
        device_bytes: optional int. Memory of a device for which the largest batch is looked for.
        num_classes: optional int >= 1. By default that of the data the configuration is made for.

    Returns:
        Dict that JSON can hold: `parameters`, `tokens`, `stages` and `flops` of one example, `memory` at
        `batch_size` and `per_example`, what another example adds, in bytes; with a device also `device`.

    Raises:
        ConfigError: if there is no such task or configuration, or a value does not fit.
    """
    for option, value in (("--batch-size", batch_size), ("--classes", num_classes)):
        if value is not None and value < 1:
            raise ConfigError(
                f"`{option}` must be at least 1. Received: {value}", stage="command", reason="bad_value"
            )
    config = apply_overrides(named_config(task, name), overrides)
    batch_size = batch_size or config.training.batch_size
    config = _with_batch_size(config, batch_size)
    prepare_backend()
    label_names = _label_names(task, name, config, num_classes)

    def shaped(size: int) -> ShapedModel:
        return shaped_model(task, config, label_names, size)

    def measure(size: int) -> Footprint:
        return footprint(shaped(size))

    with precision(config.training.mixed_precision):
        told = _without_compiling(shaped(1))
        asked, other = measure(batch_size), measure(batch_size // 2 or 2)
        device = None
        if device_bytes is not None:
            limit = USABLE * device_bytes
            found = largest_batch(measure, (asked, other), limit, _multiple(config))
            device = _device(found, device_bytes)
    return {
        "task": task,
        "config": name,
        "overrides": list(overrides),
        "num_classes": len(label_names),
        "compiled_for": jax.default_backend(),
        "distribute": config.training.distribute,
        **told,
        "batch_size": batch_size,
        "memory": {**dataclasses.asdict(asked), "total": asked.total},
        "per_example": (asked.total - other.total) / (asked.batch_size - other.batch_size),
        **({} if device is None else {"device": device}),
    }


def _label_names(task: str, name: str, config: Any, num_classes: int | None) -> tuple[str, ...]:
    describe = getattr(task_module(task, "batch_shapes"), "label_names", None)
    if describe is None and num_classes is not None:
        raise ConfigError(
            f"`{task}` has no classes. Received: --classes {num_classes}", stage="command", reason="bad_value"
        )
    return describe(name, config, num_classes) if describe else ()


def _without_compiling(one: ShapedModel) -> dict[str, Any]:
    """What a batch of one example tells without being compiled."""
    return {
        "parameters": one.model.count_params(),
        "tokens": tokens_of(one.model.backbone),
        "stages": [dataclasses.asdict(stage) for stage in stages_of(one)],
        "flops": {
            "forward": total_flops(forward_program(one)),
            "training_step": total_flops(training_program(one)),
        },
    }


def _device(found: Footprint | None, device_bytes: int) -> dict[str, Any]:
    return {
        "bytes": device_bytes,
        "usable_bytes": int(USABLE * device_bytes),
        "batch_size": 0 if found is None else found.batch_size,
        "total": None if found is None else found.total,
    }


def _with_batch_size(config: Any, batch_size: int) -> Any:
    """The configuration with another batch, unless it refuses that."""
    training = dataclasses.replace(config.training, batch_size=batch_size)
    return dataclasses.replace(config, training=training)


def _multiple(config: Any) -> int:
    """2 where a configuration takes even batches alone, as one that shows each pair of frames twice."""
    try:
        _with_batch_size(config, 1)
    except ConfigError:
        return 2
    return 1
