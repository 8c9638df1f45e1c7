"""When training changes pairs, and how much."""

from __future__ import annotations

from dataclasses import dataclass

from zorro_keras.applications.optical_flow.config import Config
from zorro_keras.applications.training.fit import steps_per_epoch


@dataclass(frozen=True)
class Phases:
    """The first steps show pairs as they are, forward and reversed; then changes grow.

    Attributes:
        plain_steps: int. Steps of the beginning.
        first_changed: int. Position of the first pair after it.
        ramp: int. Positions over which changes grow.
    """

    plain_steps: int
    first_changed: int
    ramp: int

    @classmethod
    def of(cls, config: Config, num_train: int) -> Phases:
        """Returns the phases of a run on so many training pairs."""
        training, curriculum = config.training, config.data.augmentation
        steps = steps_per_epoch(training, num_train) * training.epochs
        plain = round(curriculum.plain_fraction * steps)
        ramp = round(curriculum.ramp_fraction * steps) * training.batch_size
        return cls(plain, plain * training.batch_size // 2, ramp)
