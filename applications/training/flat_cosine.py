"""A learning rate that stays at its peak before it decays."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="zorro_keras")
class FlatCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to the peak, the peak, then a cosine to 0.

    Args:
        learning_rate: float > 0. The peak.
        warmup_steps: int >= 0. The first of them has `learning_rate / (warmup_steps + 1)`.
        flat_steps: int >= 0. Steps at the peak after that.
        total_steps: int, more than both. From here on it is 0.

    Raises:
        ValueError: if the steps do not fit.

    Reference:
        Perceiver IO, arXiv 2107.14795, appendix A: 55 of 110 epochs flat, without warm-up, under LAMB.
    """

    def __init__(
        self,
        learning_rate: float,
        warmup_steps: int,
        flat_steps: int,
        total_steps: int,
        name: str = "FlatCosine",
    ) -> None:
        super().__init__()
        if min(warmup_steps, flat_steps) < 0 or warmup_steps + flat_steps >= total_steps:
            raise ValueError(
                "`warmup_steps` and `flat_steps` must leave steps for the cosine. Received: "
                f"warmup_steps={warmup_steps}, flat_steps={flat_steps}, total_steps={total_steps}"
            )
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps
        self.flat_steps = flat_steps
        self.total_steps = total_steps
        self.name = name

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        begin = self.warmup_steps + self.flat_steps
        done = ops.clip((step - begin) / (self.total_steps - begin), 0.0, 1.0)
        decay = 0.5 * (1.0 + ops.cos(done * 3.141592653589793))
        warmup = ops.minimum((step + 1.0) / (self.warmup_steps + 1.0), 1.0)
        return self.learning_rate * warmup * decay

    def get_config(self) -> dict[str, Any]:
        return {
            "learning_rate": self.learning_rate,
            "warmup_steps": self.warmup_steps,
            "flat_steps": self.flat_steps,
            "total_steps": self.total_steps,
            "name": self.name,
        }
