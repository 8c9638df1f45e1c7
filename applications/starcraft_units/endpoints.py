"""What a unit selector serves: a selection, and the embeddings that an agent goes on with."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from zorro_keras.applications.pipelines.battle_generated import BATTLE_FEATURES, battle
from zorro_keras.applications.starcraft_units.preprocessor import pad_battles
from zorro_keras.applications.training.endpoints import PARITY_BATCH, Endpoint
from zorro_keras.applications.training.perceiver_endpoints import (
    MASK_SUFFIX,
    length_limits,
    nested,
    stream_arguments,
)


def unit_endpoints(task: keras.Model) -> list[Endpoint]:
    """Returns the endpoints of a `UnitSelector`.

    Both take `units`, float32 `(B, M, F)` of any M up to the model's, and `units_padding_mask`, bool
    `(B, M)`. `serve` answers with `selection_logits` and `selection_probabilities` `(B, M)`, 0 for masked
    slots; `embed` with `units` `(B, M, E)` and `pooled` `(B, E)`.
    """
    stream = task.backbone.streams["units"]
    arguments = stream_arguments(task.backbone, ("units",))
    limits = length_limits(task.backbone, ("units",))

    def serve(inputs: dict[str, Any]) -> dict[str, Any]:
        return _with_probabilities(task(nested(inputs), training=False)["selection"])

    def embed(inputs: dict[str, Any]) -> dict[str, Any]:
        known = task.understand(nested(inputs), training=False)
        return {name: ops.cast(known[name], "float32") for name in ("units", "pooled")}

    def ask(inputs: dict[str, Any]) -> dict[str, Any]:
        # `keras.Model`'s, because that of a keras-hub task would preprocess what it is given.
        return _with_probabilities(keras.Model.predict_on_batch(task, nested(inputs))["selection"])

    real = _real_battles if stream.features == BATTLE_FEATURES else None
    return [
        Endpoint("serve", "serve", arguments, serve, ask=ask, real=real, limits=limits),
        Endpoint("embed", "embed", arguments, embed, real=real, limits=limits),
    ]


def _with_probabilities(logits: Any) -> dict[str, Any]:
    logits = ops.cast(logits, "float32")
    return {"selection_logits": logits, "selection_probabilities": ops.sigmoid(logits)}


def _real_battles() -> dict[str, np.ndarray]:
    battles = [battle(np.random.default_rng(seed)).units for seed in range(PARITY_BATCH)]
    padded = pad_battles(battles, max(map(len, battles)), max(map(len, battles)))
    return {"units": padded["units"], f"units{MASK_SUFFIX}": padded["padding_mask"]["units"]}
