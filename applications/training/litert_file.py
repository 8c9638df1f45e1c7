"""Writes an endpoint as a LiteRT file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from zorro_keras.applications.training.endpoints import Endpoint
from zorro_keras.applications.training.export_formats import UnsupportedEndpointError
from zorro_keras.applications.training.litert_kernels import int8_for_weights_alone


def write_litert(loaded: Any, function: Any, endpoint: Endpoint, path: Path, *, int8: bool = False) -> None:
    """Writes a signature with LiteRT's own operations only, so that no TensorFlow is needed to run it.

    Args:
        loaded: the SavedModel.
        function: the signature of the endpoint.
        endpoint: unused by this format, which keeps names and open axes.
        path: file to write.
        int8: bool. Stores large kernels as int8, by LiteRT's own rules: it lacks the product of integers that
            Keras writes. What the preprocessing multiplies with stays float32.

    Raises:
        UnsupportedEndpointError: if it needs an operation that LiteRT lacks.
    """
    try:
        file = _converted(loaded, function)
        if int8:
            rounded = _converted(loaded, function, [tf.lite.Optimize.DEFAULT])
            file = int8_for_weights_alone(rounded, file, (weight.numpy() for weight in loaded.variables))
        path.write_bytes(file)
    except Exception as error:  # the converter has an error of its own for each of its stages
        lacks = re.findall(r"'(tf\.\w+)' op is neither", str(error))
        reason = f"LiteRT lacks {', '.join(sorted(set(lacks)))}" if lacks else str(error).splitlines()[0]
        raise UnsupportedEndpointError(reason) from error


def _converted(loaded: Any, function: Any, optimizations: Sequence[Any] = ()) -> bytes:
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], loaded)
    converter.optimizations = list(optimizations)
    return converter.convert()
