"""Reads `model.safetensors`: a header of names, types and places, and raw numbers.

The safetensors package gives numpy no bfloat16, and so the few lines are here.
"""

import math

import numpy as np

from zorro_keras.weights.error import WeightsError, short, shown
from zorro_keras.weights.json_file import parsed

_MAX_HEADER = 100_000_000  # bytes, as in the reference implementation
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
    "I8": "|i1", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip


def read_safetensors(data):
    """Returns the arrays of a safetensors file by name, views of its bytes; bfloat16 as float32.

    Args:
        data: bytes of the file.

    Raises:
        WeightsError: for a damaged file, an unknown type of number, and tensors that overlap or leave holes.

    Reference:
        The format as in the README of huggingface/safetensors.
    """
    start = 8 + int.from_bytes(data[:8], "little")
    if len(data) < 8 or start > len(data) or start > _MAX_HEADER:
        raise WeightsError(f"The safetensors file must hold its whole header. Received: {len(data)} bytes")
    header = parsed("The header of the safetensors file", data[8:start])
    numbers = memoryview(data)[start:]
    entries = {
        name: _entry(name, entry, len(numbers)) for name, entry in header.items() if name != "__metadata__"
    }
    _check_places(entries, len(numbers))
    return {
        name: _array(numbers[begin:end], dtype, shape) for name, (dtype, shape, begin, end) in entries.items()
    }


def widened(bits):
    """Returns bfloat16 numbers, given as their 16 bits, as float32 whose type says what they were."""
    wide = np.left_shift(bits, 16, dtype="<u4")
    return wide.view(np.dtype("<f4", metadata={"stored_as": "bfloat16"}))


def _entry(name, entry, size):
    """Returns what the header says of a tensor: type, shape, begin and end."""
    keys = ("dtype", "shape", "data_offsets")
    if not isinstance(entry, dict) or not all(key in entry for key in keys):
        raise WeightsError(f"`{short(name)}` must have {', '.join(keys)}. Received: {shown(entry)}")
    dtype, shape, place = (entry[key] for key in keys)
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise WeightsError(f"`{short(name)}` must be of {', '.join(_DTYPES)}. Received: dtype={shown(dtype)}")
    if not _are_sizes(shape) or len(shape) > 8:
        raise WeightsError(f"`{short(name)}` must have a shape of at most 8 sizes. Received: {shown(shape)}")
    if not _are_sizes(place) or len(place) != 2 or not place[0] <= place[1] <= size:
        raise WeightsError(
            f"`{short(name)}` must lie in the file's {size} bytes. Received: data_offsets={shown(place)}"
        )
    begin, end = place
    if end - begin != math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize:
        raise WeightsError(
            f"`{short(name)}` must have the bytes of {dtype} numbers of the shape {shown(shape)}. "
            f"Received: {end - begin} bytes"
        )
    return dtype, tuple(shape), begin, end


def _are_sizes(value):
    return isinstance(value, list) and all(type(size) is int and size >= 0 for size in value)


def _check_places(entries, size):
    """Refuses tensors that share bytes, and bytes of no tensor: either could hide something."""
    after = 0
    for name, (*_, begin, end) in sorted(entries.items(), key=lambda item: item[1][2:]):
        if begin != after:
            raise WeightsError(
                f"`{short(name)}` must begin at byte {after}, where the tensor before it ends. "
                f"Received: {begin}"
            )
        after = end
    if after != size:
        raise WeightsError(f"The tensors must fill the file. Received: {after} of {size} bytes")


def _array(data, dtype, shape):
    flat = np.frombuffer(data, _DTYPES[dtype])
    return (widened(flat) if dtype == "BF16" else flat).reshape(shape)
