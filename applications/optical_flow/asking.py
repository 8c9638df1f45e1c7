"""Asks a model for the flow of a pair, and says what is wrong in words for the person who gave it."""

from __future__ import annotations

import numpy as np

from zorro_keras.applications.optical_flow.tiled_flow import TiledFlow
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training.finite import check_finite


def finite_flow(flow: TiledFlow, first: np.ndarray, second: np.ndarray, name: str, stage: str) -> np.ndarray:
    """Returns the flow `(Y, X, 2)` from one frame to another, in pixels.

    Args:
        flow: `TiledFlow`.
        first, second: uint8 `(Y, X, 3)`, of one size.
        name: what the frames are called in errors.
        stage: what is being done, for errors.

    Raises:
        ConfigError: if the grid of tiles does not exist at the frames' size.
        TrainingError: if the model gives a number that is not finite.
    """
    try:
        flow.places(first.shape[:2])
    except ValueError as error:
        raise ConfigError(
            str(error), row=name, stage=stage, reason="bad_value", advice="Give `--grid even`."
        ) from error
    values = flow(first, second)
    check_finite(values[None], stage, [name])
    return values
