"""How far a flow is from the true one, pixel by pixel, as something to be trained on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

# Lengths have no gradient at 0, where they end in a point; this rounds it off, far below a pixel.
_ROUNDING = 1e-4


@keras.saving.register_keras_serializable("zorro_keras")
def end_point_loss(y_true: Any, y_pred: Any) -> Any:
    """The Euclidean length of the error: what flow is measured by. Float `(B, Y, X)`."""
    return ops.sqrt(ops.sum(ops.square(y_true - y_pred), axis=-1) + _ROUNDING**2)


@keras.saving.register_keras_serializable("zorro_keras")
def l1_loss(y_true: Any, y_pred: Any) -> Any:
    """The sum of both absolute errors, as RAFT is trained (arXiv 2003.12039). Float `(B, Y, X)`."""
    return ops.sum(ops.abs(y_true - y_pred), axis=-1)


@keras.saving.register_keras_serializable("zorro_keras")
def robust_loss(y_true: Any, y_pred: Any) -> Any:
    """(L1 + 0.01) ** 0.4: outliers count less, as PWC-Net is fine-tuned (arXiv 1709.02371). `(B, Y, X)`."""
    return (l1_loss(y_true, y_pred) + 0.01) ** 0.4


FLOW_LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "end_point": end_point_loss,
    "l1": l1_loss,
    "robust": robust_loss,
}
