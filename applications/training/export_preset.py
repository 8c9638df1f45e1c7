"""Exports a copy of a model, perhaps with kernels of int8."""

from __future__ import annotations

import os

import keras

from zorro_keras.applications.training.export_formats import Format, write_export

_KERNELS = (keras.layers.Dense, keras.layers.EinsumDense)


def quantised_preset(kind: type[keras.Model], preset: str | os.PathLike[str]) -> keras.Model:
    """Opens a preset and turns the kernels of its dense layers into int8, which is most of its weights.

    A kernel has a float32 scale for each of its outputs; what it is multiplied with is rounded to int8 too,
    by the largest value of each token. Norms, biases, embeddings, queries and positions stay float32.

    Args:
        kind: class of the task or backbone.
        preset: folder of the preset. The model that it was saved from stays as it is.
    """
    model = kind.from_preset(os.fspath(preset))
    # By name of the layers, because others, such as the preprocessor's, have nothing to quantise.
    model.quantize("int8", filters=lambda layer: isinstance(layer, _KERNELS))
    return model


def write_preset(
    kind: type[keras.Model],
    preset: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    format: Format,
    name: str,
    int8: bool,
) -> None:
    """Writes the model of a preset by `write_export`; LiteRT makes int8 of float32 itself.

    Args:
        kind: class of the task or backbone.
        preset: folder of the preset.
        out, format, name: as for `write_export`.
        int8: bool.
    """
    by_litert = int8 and format == "litert"
    model = quantised_preset(kind, preset) if int8 and not by_litert else kind.from_preset(os.fspath(preset))
    write_export(model, out, format=format, name=name, litert_int8=by_litert)
