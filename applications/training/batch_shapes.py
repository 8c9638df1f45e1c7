"""The arrays of a batch of training, told by shape and type alone."""

from __future__ import annotations

from collections.abc import Iterable

import keras


def floats(*shape: int) -> keras.KerasTensor:
    """Returns a float32 array without numbers."""
    return keras.KerasTensor(shape, "float32")


def integers(*shape: int) -> keras.KerasTensor:
    """Returns an int32 array without numbers."""
    return keras.KerasTensor(shape, "int32")


def flags(*shape: int) -> keras.KerasTensor:
    """Returns a bool array without numbers."""
    return keras.KerasTensor(shape, "bool")


def inputs_of(model: keras.Model, batch_size: int) -> dict[str, keras.KerasTensor]:
    """Returns the inputs of a functional model, for a batch."""
    return {
        name: keras.KerasTensor((batch_size, *tensor.shape[1:]), tensor.dtype)
        for name, tensor in model.input.items()
    }


def clips_of(
    model: keras.Model, batch_size: int, streams: Iterable[str]
) -> dict[str, keras.KerasTensor | dict[str, keras.KerasTensor]]:
    """Returns the inputs of a functional model of clips, and which clips have which of the `streams`."""
    return {**inputs_of(model, batch_size), "presence": {name: flags(batch_size) for name in streams}}


def class_names(count: int) -> tuple[str, ...]:
    """Returns as many names: what a class is called costs nothing."""
    return tuple(f"class {number}" for number in range(count))
