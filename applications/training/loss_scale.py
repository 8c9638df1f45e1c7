"""The factor that keeps small gradients above what float16 rounds to zero."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

FIRST = 2.0**15
LARGEST = 2.0**24
STEADY_STEPS = 2000


class LossScale:
    """A factor of the loss, halved by every gradient that overflows, doubled after 2000 steps without one.

    Args:
        optimizer: that keeps the factor among its variables, and so in checkpoints.

    Attributes:
        factor: float32 variable, a power of two: to multiply and to divide by it changes no digit.

    Reference:
        Mixed precision training, arXiv 1710.03740, section 3.2.
    """

    def __init__(self, optimizer: keras.optimizers.Optimizer) -> None:
        first = keras.initializers.Constant(FIRST)
        self.factor = optimizer.add_variable(shape=(), dtype="float32", initializer=first, name="loss_scale")
        self.steady = optimizer.add_variable(
            shape=(), dtype="int32", initializer="zeros", name="steady_steps"
        )

    def grow(self) -> None:
        """Counts a step that was taken."""
        factor, steady = ops.convert_to_tensor(self.factor), ops.convert_to_tensor(self.steady) + 1
        grows = ops.greater_equal(steady, STEADY_STEPS)
        self.factor.assign(ops.where(grows, ops.minimum(factor * 2.0, LARGEST), factor))
        self.steady.assign(ops.where(grows, ops.zeros_like(steady), steady))

    def shrink(self) -> Any:
        """Halves the factor. Returns whether that can help: a bool tensor, False where it is 1 already."""
        factor = ops.convert_to_tensor(self.factor)
        helps = ops.greater(factor, 1.0)
        self.factor.assign(ops.where(helps, factor / 2.0, factor))
        self.steady.assign(ops.zeros((), "int32"))
        return helps
