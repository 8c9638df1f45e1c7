"""A model and its step of training that have shapes and no numbers: neither time nor memory of their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import keras

from zorro_keras.applications.training.backend import precision
from zorro_keras.applications.training.optimizer import build_optimizer
from zorro_keras.applications.training.task import task_module

_SOME_STEPS = 1000  # of the schedule, whose length costs nothing


@dataclasses.dataclass(frozen=True)
class ShapedModel:
    """A task's model, compiled as a run compiles it, whose variables have shapes and types alone.

    Attributes:
        model: the model.
        batch_size: int. Examples of a step.
        batch: the shapes of what a step is given: `(x,)`, `(x, y)` or `(x, y, sample_weight)`.
    """

    model: keras.Model
    batch_size: int
    batch: tuple[Any, ...]

    @property
    def state(self) -> tuple[list[jax.ShapeDtypeStruct], ...]:
        """What a step of the JAX trainer of Keras changes, in the order it takes it."""
        model = self.model
        return tuple(
            [_shape_of(variable) for variable in variables]
            for variables in (
                model.trainable_variables,
                model.non_trainable_variables,
                model.optimizer.variables,
                model.metrics_variables,
            )
        )

    @property
    def data(self) -> Any:
        """`batch`, as JAX describes shapes."""
        return keras.tree.map_structure(_shape_of, self.batch)


def shaped_model(task: str, config: Any, label_names: Sequence[str], batch_size: int) -> ShapedModel:
    """Builds the model of a task for a configuration, and a batch for it, without a single number.

    It is built inside `jax.eval_shape`, where every array that a model makes of itself is a shape. So its
    variables must never be read; its step is traced from shapes, as `state` gives them.
    """
    made = []

    def build() -> None:
        model = task_module(task, "model").build_model(config, label_names)
        optimizer = build_optimizer(model, config.training, _SOME_STEPS)
        model.compile(
            optimizer=optimizer,
            jit_compile=config.training.jit_compile,
            auto_scale_loss=False,  # as in a run: the optimizer scales float16's loss
        )
        made.append(model)

    with precision(config.training.mixed_precision):
        jax.eval_shape(build)
    # A generator of seeds that Keras shares among layers would be a shape, too, for the next model.
    keras.utils.clear_session()
    (model,) = made
    batch = task_module(task, "batch_shapes").training_batch(config, model, batch_size)
    return ShapedModel(model, batch_size, batch)


def _shape_of(array: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(tuple(array.shape), array.dtype)
