"""What a step of training takes of memory, by the plan that XLA makes when it compiles it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np

from zorro_keras.applications.kept_barriers import KEPT
from zorro_keras.applications.plan.shapes_only import ShapedModel

# Of a device's memory: the rest is for its driver, the compiled program and gaps between arrays.
USABLE = 0.9
# The barriers of `remat` stay, as `zorro-keras` keeps them for a run. The memory is laid out before code is
# made, so how well that is made does not matter.
_ON_CPU = {**KEPT, "xla_backend_optimization_level": "0"}
_MOST_TRIES = 3


@dataclasses.dataclass(frozen=True)
class Footprint:
    """Bytes of a step of training.

    Attributes:
        batch_size: int. Examples of the step.
        weights: bytes of the model's variables, those that are not trained included.
        optimizer: bytes of what the optimizer remembers: moments, averages.
        gradients: bytes of one gradient for each trained weight.
        batch: bytes of the examples.
        activations: bytes that the program takes beside all of these, at its highest.
    """

    batch_size: int
    weights: int
    optimizer: int
    gradients: int
    batch: int
    activations: int

    @property
    def total(self) -> int:
        """Bytes of all together."""
        return self.weights + self.optimizer + self.gradients + self.batch + self.activations


def footprint(shaped: ShapedModel) -> Footprint:
    """Compiles the step of the trainer, as `fit` compiles it, and returns what it takes.

    XLA places gradients and activations in one space and may use a place twice. What the space is larger than
    the gradients is called activations.
    """
    trained, others, optimizer, metrics = map(size_of, shaped.state)
    step = jax.jit(shaped.model.train_step, donate_argnums=0).lower(shaped.state, shaped.data)
    options = _ON_CPU if jax.default_backend() == "cpu" else {}
    memory = step.compile(compiler_options=options).memory_analysis()
    working = memory.temp_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
    gradients = min(trained, working)
    return Footprint(
        batch_size=shaped.batch_size,
        weights=trained + others + metrics,
        optimizer=optimizer,
        gradients=gradients,
        batch=size_of(shaped.data),
        activations=working - gradients,
    )


def largest_batch(
    measure: Callable[[int], Footprint], known: Iterable[Footprint], limit: float, multiple: int = 1
) -> Footprint | None:
    """Finds a batch that fits, by a straight line through what is known, and compiles it to be sure.

    Args:
        measure: function of a batch size.
        known: two or more footprints of different batch sizes.
        limit: bytes.
        multiple: int >= 1. Only multiples of it are looked at.

    Returns:
        The largest that was compiled and fits; `None` if none did. Larger ones may fit that the line left
        out: compilers lay out different sizes differently.
    """
    measured = {each.batch_size: each for each in known}
    for _ in range(_MOST_TRIES):
        size = _extrapolated(measured.values(), limit) // multiple * multiple
        if size < 1 or size in measured:
            break
        measured[size] = measure(size)
    fitting = [each for each in measured.values() if each.total <= limit]
    return max(fitting, key=lambda each: each.batch_size, default=None)


def _extrapolated(known: Iterable[Footprint], limit: float) -> int:
    """The batch size at which the line through the two footprints nearest to the limit reaches it."""
    first, second = sorted(known, key=lambda each: abs(each.total - limit))[:2]
    slope = (second.total - first.total) / (second.batch_size - first.batch_size)
    if slope <= 0:
        return 0
    return math.floor(first.batch_size + (limit - first.total) / slope)


def size_of(shapes: Any) -> int:
    """Returns the bytes of arrays that are told by shape and type."""
    return sum(math.prod(leaf.shape) * np.dtype(leaf.dtype).itemsize for leaf in jax.tree.leaves(shapes))
