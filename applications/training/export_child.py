"""The process that turns a preset into an export: run with KERAS_BACKEND=tensorflow."""

from __future__ import annotations

import importlib
import json
import sys

from zorro_keras.applications.training.export_preset import write_preset


def main(preset: str, out: str, module: str, name: str, options: str) -> None:
    """Writes the model of a preset, an instance of class `name` of `module`, to the folder `out`.

    `options` is JSON: those of `write_preset`.
    """
    write_preset(getattr(importlib.import_module(module), name), preset, out, **json.loads(options))


if __name__ == "__main__":
    main(*sys.argv[1:])
