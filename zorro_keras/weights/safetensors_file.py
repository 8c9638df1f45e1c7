"""Reads `model.safetensors`: a header of names, types and places, and raw numbers.

The safetensors package gives numpy no bfloat16, and so the few lines are here.
"""

import json
import math

import numpy as np

from zorro_keras.weights.error import WeightsError

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
    "I8": "|i1", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip


def read_safetensors(data):
    """Returns the arrays of a safetensors file by name, bfloat16 as float32.

    Args:
        data: bytes of the file.

    Raises:
        WeightsError: for a damaged file or an unknown type of number.

    Reference:
        The format as in the README of huggingface/safetensors.
    """
    start = 8 + int.from_bytes(data[:8], "little")
    if len(data) < 8 or start > len(data):
        raise WeightsError(f"The safetensors file is cut off. Received: {len(data)} bytes")
    try:
        header = json.loads(data[8:start])
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        return {name: _array(name, entry, memoryview(data)[start:]) for name, entry in entries.items()}
    except WeightsError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"The header of the safetensors file is damaged: {error}") from error


def widened(bits):
    """Returns bfloat16 numbers, given as their 16 bits, as float32."""
    return (bits.astype("<u4") << 16).view("<f4")


def _array(name, entry, data):
    shape, (begin, end) = entry["shape"], entry["data_offsets"]
    if entry["dtype"] not in _DTYPES:
        raise WeightsError(f"`{name}` must be of {', '.join(_DTYPES)}. Received: {entry['dtype']!r}")
    dtype = np.dtype(_DTYPES[entry["dtype"]])
    if not all(type(size) is int and size >= 0 for size in (*shape, begin, end)) or len(shape) > 8:
        raise WeightsError(f"`{name}` has no possible shape and place. Received: {entry}")
    if end > len(data) or end - begin != math.prod(shape) * dtype.itemsize:
        raise WeightsError(
            f"`{name}` of the shape {tuple(shape)} must lie whole in the file. "
            f"Received: bytes {begin} to {end} of {len(data)}"
        )
    array = np.frombuffer(data[begin:end], dtype).reshape(shape)
    return widened(array) if entry["dtype"] == "BF16" else array
