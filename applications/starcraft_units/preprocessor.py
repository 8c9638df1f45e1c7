"""What a table of units holds, and how battles of any size become arrays of few shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import keras_hub
import numpy as np

from zorro_keras.applications.pipelines.text_batches import bucket_length
from zorro_keras.applications.pipelines.unit_battle import checked_battle
from zorro_keras.models import PerceiverIOBackbone
from zorro_keras.streams import Entities

BUCKETS = (16, 32, 64, 128, 256, 512)


@keras.saving.register_keras_serializable("zorro_keras")
class UnitPreprocessor(keras_hub.models.Preprocessor):
    """Knows the features of units, checks battles against them and pads them.

    Args:
        features: sequence of `EntityFeature`, or of dicts of their arguments: the columns of `units`.
        num_units: int. The most real units of a battle.
        alone: bool. Whether the model was trained on battles of one unit each: it is to be asked so, too.

    Call arguments:
        x: dict with `units`, float `(B, M, F)`, and optionally `padding_mask`, a dict with `units`, bool
            `(B, M)`. M is at most `num_units`.
        y, sample_weight: passed through.

    Returns:
        `x`, `(x, y)` or `(x, y, sample_weight)`.

    Raises:
        ValueError: if `units` have other columns, or there are too many.
    """

    backbone_cls = PerceiverIOBackbone

    def __init__(self, features, num_units=512, alone=False, **kwargs):
        super().__init__(**kwargs)
        self.stream = Entities(num_units, tuple(features))
        self.features = self.stream.features
        self.num_units = num_units
        self.alone = alone
        self.built = True

    def call(self, x, y=None, sample_weight=None):
        shape = tuple(x["units"].shape)
        if len(shape) != 3 or shape[2] != len(self.features) or (shape[1] or 0) > self.num_units:
            raise ValueError(
                f"`units` must have the shape (batch, at most {self.num_units}, {len(self.features)}). "
                f"Received: {shape}"
            )
        return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)

    def batch(self, battles: Sequence[Any], *, num_units: int | None = None) -> dict[str, Any]:
        """Returns what the model reads of several battles, padded to one number of slots.

        Args:
            battles: sequence of arrays `(M_i, F)`, of real units alone.
            num_units: optional int. Slots. By default the first of `BUCKETS` that holds the largest battle.

        Raises:
            ValueError: if there is no battle.
            SourceError: if a battle is empty or too large, or holds a value that its feature cannot have.
        """
        checked = [
            checked_battle({"units": units}, self.features, self.num_units, path="battles", row=row)
            for row, units in enumerate(battles)
        ]
        return pad_battles([battle.units for battle in checked], self.num_units, num_units)

    def get_config(self):
        features = [feature.get_config() for feature in self.features]
        own = {"features": features, "num_units": self.num_units, "alone": self.alone}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config):
        return cls(**config)  # keras-hub's own would look for a tokenizer layer


def pad_battles(battles: Sequence[np.ndarray], most: int, slots: int | None = None) -> dict[str, Any]:
    """Returns one batch of checked battles.

    Args:
        battles: sequence of arrays `(M_i, F)`.
        most: int. The most units that the model takes; a bucket, too.
        slots: optional int. Slots of each battle. By default the smallest bucket that holds all.

    Returns:
        Dict with `units`, float32 `(B, M, F)`, and `padding_mask`, a dict with `units`, bool `(B, M)`.

    Raises:
        ValueError: if there is no battle.
    """
    if not len(battles):
        raise ValueError("`battles` must hold at least one battle. Received: 0 battles")
    sizes = np.array([len(units) for units in battles])
    slots = bucket_length(int(sizes.max()), most, BUCKETS) if slots is None else slots
    padded = np.zeros((len(battles), slots, battles[0].shape[1]), np.float32)
    for row, units in enumerate(battles):
        padded[row, : len(units)] = units
    return {"units": padded, "padding_mask": {"units": np.arange(slots) < sizes[:, None]}}
