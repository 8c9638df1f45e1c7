"""LAMB: Adam whose step, for each weight array, is as long as the array itself times the learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from zorro_keras.applications.training.optimizer import GuardedAdamW


@keras.saving.register_keras_serializable(package="zorro_keras")
class GuardedLamb(GuardedAdamW):
    """LAMB that stops for good at the first non-finite loss or gradient, as `GuardedAdamW` does.

    For each array x with Adam's bias-corrected moments m and v:

        r = m / (sqrt(v) + epsilon) + weight_decay * x
        x = x - learning_rate * |x| / |r| * r

    The ratio is 1 where |x| or |r| is 0. Every array is adapted, those without decay, such as biases, too.

    Args:
        epsilon: float. Added to the root of the second moment.
        **kwargs: the arguments of `GuardedAdamW`.

    Reference:
        You et al., arXiv 1904.00962, Algorithm 2 with the identity for phi. The authors' TensorFlow code
        leaves biases and norms out of the adaptation; the code of the Perceiver papers, whose recipes ask for
        LAMB, does not (google-deepmind/deepmind-research, perceiver/train/utils.py), nor does the algorithm.
    """

    def __init__(self, *args: Any, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(*args, epsilon=epsilon, **kwargs)

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """Takes one step for one array."""
        step = ops.cast(self.iterations + 1, "float32")
        rate = ops.cast(self.rate_of(variable, learning_rate), "float32")
        gradient = ops.cast(gradient, "float32")
        index = self._get_variable_index(variable)
        first, second = self._momentums[index], self._velocities[index]
        mean = self._moved(first, gradient, self.beta_1)
        square = self._moved(second, ops.square(gradient), self.beta_2)
        mean, square = (
            moment / (1.0 - ops.power(ops.cast(beta, "float32"), step))
            for moment, beta in ((mean, self.beta_1), (square, self.beta_2))
        )
        value = ops.cast(ops.convert_to_tensor(variable), "float32")
        update = mean / (ops.sqrt(square) + self.epsilon)
        if self.weight_decay and self._use_weight_decay(variable):
            update = update + self.weight_decay * value
        update = update * _trust_ratio(value, update)
        self.assign_sub(variable, ops.cast(rate * update, variable.dtype))

    def _moved(self, moment: keras.Variable, target: Any, beta: float) -> Any:
        """Moves a moment towards `target` and returns it in float32."""
        moved = ops.cast(ops.convert_to_tensor(moment), "float32")
        moved = moved + (target - moved) * (1.0 - beta)
        self.assign(moment, ops.cast(moved, moment.dtype))
        return moved

    def _apply_weight_decay(self, variables: Sequence[keras.Variable]) -> None:
        """Does nothing: LAMB's decay is a part of the step whose length is set."""


def _trust_ratio(value: Any, update: Any) -> Any:
    length, step_length = (ops.sqrt(ops.sum(ops.square(array))) for array in (value, update))
    both = ops.logical_and(length > 0, step_length > 0)
    return ops.where(both, length / ops.where(both, step_length, 1.0), 1.0)
