"""Keeps LiteRT's int8 to what a model has learnt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils


def int8_for_weights_alone(rounded: bytes, whole: bytes, weights: Iterable[np.ndarray]) -> bytes:
    """Returns a LiteRT file whose constants of int8 are a model's weights; the others are float32 again.

    LiteRT rounds every large constant of a product, and what it is multiplied with: the filters of a
    spectrogram, too, and with them the energies of the sound, of which the quiet ones are then zero.

    Args:
        rounded: the file with int8.
        whole: the same file with float32 alone.
        weights: of the model, float32.
    """
    learnt = {_fingerprint(np.asarray(values)) for values in weights}
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(rounded))
    originals = {
        name: values
        for name, _, values in _constants(
            flatbuffer_utils.convert_bytearray_to_object(bytearray(whole)), schema.TensorType.FLOAT32
        )
    }
    for name, tensor, _ in _constants(model, schema.TensorType.INT8):
        original = originals.get(name)
        if original is None or _fingerprint(original) in learnt:
            continue
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(original.tobytes(), "uint8")
        model.buffers.append(buffer)  # one of its own: equal constants may share theirs
        tensor.buffer, tensor.type, tensor.quantization = (
            len(model.buffers) - 1,
            schema.TensorType.FLOAT32,
            None,
        )
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _constants(model: Any, kind: int) -> Iterator[tuple[tuple[int, bytes], Any, np.ndarray]]:
    """The constants of a kind: place and name, tensor, values."""
    dtype = {schema.TensorType.FLOAT32: "<f4", schema.TensorType.INT8: "i1"}[kind]
    for place, graph in enumerate(model.subgraphs):
        for tensor in graph.tensors:
            data = model.buffers[tensor.buffer].data
            if tensor.type == kind and data is not None and len(data):
                yield (place, bytes(tensor.name)), tensor, np.asarray(data, "uint8").view(dtype)


def _fingerprint(values: np.ndarray) -> bytes:
    """The same for every order of axes: LiteRT turns kernels round."""
    return np.sort(values.astype("float32"), axis=None).tobytes()
