"""The process that turns a preset into a SavedModel: run with KERAS_BACKEND=tensorflow."""

from __future__ import annotations

import importlib
import sys

from zorro_keras.applications.training.saved_model import write_saved_model


def main(preset: str, out: str, module: str, name: str) -> None:
    """Writes the model of a preset, an instance of class `name` of `module`, to the folder `out`."""
    model = getattr(importlib.import_module(module), name).from_preset(preset)
    write_saved_model(model, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
