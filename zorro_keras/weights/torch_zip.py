"""Reads `pytorch_model.bin`, a zip of one pickle and of raw numbers, without torch and without running it."""

import io
import math
import struct
import zipfile

import numpy as np

from zorro_keras.weights.error import WeightsError
from zorro_keras.weights.haiku_pickle import ordered_dict
from zorro_keras.weights.pickle_machine import Name, read_pickle
from zorro_keras.weights.safetensors_file import widened

# What zipfile raises on damaged archives, among them one that wants a password or another compression.
_DAMAGE = (
    zipfile.BadZipFile, EOFError, OSError, KeyError, ValueError, IndexError, RuntimeError, OverflowError,
    NotImplementedError, struct.error,
)  # fmt: skip
_DTYPES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "b1",
}


def read_torch_zip(data):
    """Returns the arrays of a state dict that `torch.save` wrote, by name.

    Args:
        data: bytes of the file.

    Raises:
        WeightsError: for a damaged file, and for a pickle that holds anything but a dict of tensors.
    """
    archive = _Archive(data)
    names = {f"torch.{storage}": None for storage in _DTYPES}
    names |= {"collections.OrderedDict": ordered_dict, "torch._utils._rebuild_tensor_v2": _tensor}
    tensors = read_pickle(archive.read("data.pkl"), names, archive.storage)
    if not isinstance(tensors, dict):
        raise WeightsError(f"The file must hold a dict of tensors. Received: {type(tensors).__name__}")
    for name, tensor in tensors.items():
        if not isinstance(tensor, np.ndarray):
            raise WeightsError(f"`{name}` is no tensor. Received: {type(tensor).__name__}")
    return tensors


class _Archive:
    """The zip: every file in it lies in one folder, uncompressed."""

    def __init__(self, data):
        try:
            self.zip = zipfile.ZipFile(io.BytesIO(data))
        except _DAMAGE as error:
            raise WeightsError(f"The zip of the torch file is damaged: {error}") from error
        entries = self.zip.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise WeightsError("The zip of the torch file is compressed, which `torch.save` never does.")
        if sum(entry.file_size for entry in entries) > len(data):
            raise WeightsError("The zip of the torch file announces more bytes than it has.")
        pickles = [entry.filename for entry in entries if entry.filename.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise WeightsError(f"The zip of a torch file must hold one data.pkl. Received: {len(pickles)}")
        self.folder = pickles[0].removesuffix("data.pkl")
        order = f"{self.folder}byteorder"
        self.big_endian = order in self.zip.namelist() and self.read("byteorder") == b"big"
        self.storages = {}

    def read(self, name):
        try:
            return self.zip.read(f"{self.folder}{name}")
        except _DAMAGE as error:
            raise WeightsError(f"`{name}` of the torch file is damaged: {error}") from error

    def storage(self, pointer):
        """Returns the flat array that a persistent id points to."""
        if not isinstance(pointer, tuple) or len(pointer) != 5 or pointer[0] != "storage":
            raise ValueError("a persistent id that is no storage")
        _, kind, key, _, count = pointer
        dtype = _DTYPES.get(kind.text.removeprefix("torch.")) if isinstance(kind, Name) else None
        if dtype is None or not isinstance(key, str) or not isinstance(count, int):
            raise ValueError("a storage without type, place or size")
        if (key, dtype) not in self.storages:
            self.storages[key, dtype] = _flat(self.read(f"data/{key}"), dtype, self.big_endian)
        flat = self.storages[key, dtype]
        if flat.size != count:
            raise WeightsError(f"The storage {key} must hold {count} numbers. Received: {flat.size}")
        return flat


def _flat(data, dtype, big_endian):
    stored = np.dtype("u2" if dtype == "bfloat16" else dtype).newbyteorder(">" if big_endian else "<")
    if len(data) % stored.itemsize:
        raise WeightsError(f"{len(data)} bytes are no whole count of {dtype} numbers.")
    flat = np.frombuffer(data, stored)
    return widened(flat) if dtype == "bfloat16" else flat


def _tensor(storage, offset, shape, strides, *_):
    """Stands for torch's `_rebuild_tensor_v2`: a view of a storage."""
    if not isinstance(storage, np.ndarray) or not isinstance(shape, tuple) or not isinstance(strides, tuple):
        raise ValueError("a tensor without storage, shape or strides")
    numbers = (offset, *shape, *strides)
    if len(shape) != len(strides) or len(shape) > 8:
        raise ValueError(f"a tensor of the shape {shape} with the strides {strides}")
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError(f"a tensor of the shape {shape} with the strides {strides} at {offset}")
    count = math.prod(shape)
    if not count:
        return np.zeros(shape, storage.dtype)
    end = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True)) + 1
    if count > storage.size or end > storage.size:
        raise ValueError(f"a tensor of the shape {shape} in a storage of {storage.size} numbers")
    places = [stride * storage.itemsize for stride in strides]
    return np.ndarray(shape, storage.dtype, storage, offset * storage.itemsize, places).copy()
