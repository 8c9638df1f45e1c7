"""Inputs to compare an export on: random ones, and those of a file."""

from __future__ import annotations

import os
import zipfile

import numpy as np

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training.endpoints import PARITY_BATCH, Argument, Endpoint

Arrays = dict[str, np.ndarray]
# Open axes other than the batch; a prime, so that no other axis is as long by chance.
_LENGTH = 11


def random_inputs(endpoint: Endpoint, rng: np.random.Generator, batch: int = PARITY_BATCH) -> Arrays:
    """Returns an array for each input of an endpoint, in its dtype and within its range."""
    sizes = {
        axis: min(_LENGTH, endpoint.limits.get(axis, _LENGTH))
        for argument in endpoint.inputs.values()
        for axis in argument.shape
        if isinstance(axis, str)
    }
    sizes["batch"] = batch
    return {
        name: _draw(rng, argument, tuple(sizes.get(axis, axis) for axis in argument.shape))
        for name, argument in endpoint.inputs.items()
    }


def read_inputs(path: str | os.PathLike[str]) -> Arrays:
    """Returns the arrays of a file that `numpy.savez` wrote, by name.

    Raises:
        ConfigError: if it cannot be read, or holds anything but arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise ConfigError(
            f"The inputs cannot be read: {error}.", path=os.fspath(path), stage="export", reason="bad_value",
            advice="Write them by `numpy.savez(path, audio=..., video=...)`.",
        ) from error  # fmt: skip


def _draw(rng: np.random.Generator, argument: Argument, shape: tuple[int, ...]) -> np.ndarray:
    if argument.dtype == "bool":
        return rng.random(shape) < 0.8
    if argument.dtype == "uint8":
        return rng.integers(0, 256, shape, np.uint8)
    if argument.dtype.startswith("int"):
        return rng.integers(0, argument.below, shape).astype(argument.dtype)
    return rng.normal(size=shape).astype(argument.dtype)
