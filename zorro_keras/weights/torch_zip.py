"""Reads `pytorch_model.bin`, a zip of one pickle and of raw numbers, without torch and without running it."""

import io
import math
import struct
import zipfile
import zlib

import numpy as np

from zorro_keras.weights.error import WeightsError, short, shown
from zorro_keras.weights.haiku_pickle import ordered_dict
from zorro_keras.weights.pickle_machine import Name, read_pickle
from zorro_keras.weights.safetensors_file import widened

# What zipfile raises on damaged archives.
_DAMAGE = (
    zipfile.BadZipFile, EOFError, OSError, KeyError, ValueError, IndexError, RuntimeError, OverflowError,
    NotImplementedError, struct.error,
)  # fmt: skip
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # of an entry: signature, and the lengths of its name and extras
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
    "ComplexFloatStorage": "c8",
    "ComplexDoubleStorage": "c16",
}


def read_torch_zip(data):
    """Returns the arrays of a state dict that `torch.save` wrote, by name: views of its bytes.

    The state dict may lie under "state_dict" or "model", as training loops save it beside other things.

    Args:
        data: bytes of the file.

    Raises:
        WeightsError: for a damaged file, for a pickle that holds anything but a dict of tensors, and for
            tensors that hold more numbers than the file.
    """
    archive = _Archive(data)
    names = {f"torch.{storage}": None for storage in _DTYPES}
    names |= {"collections.OrderedDict": ordered_dict, "torch._utils._rebuild_tensor_v2": _tensor}
    tensors = read_pickle(bytes(archive.read("data.pkl")), names, archive.storage)
    if not isinstance(tensors, dict):
        raise WeightsError(f"The file must hold a dict of tensors. Received: {shown(tensors)}")
    nested = [tensors[key] for key in ("state_dict", "model") if isinstance(tensors.get(key), dict)]
    tensors = nested[0] if nested else tensors
    for name, tensor in tensors.items():
        if not isinstance(tensor, np.ndarray):
            raise WeightsError(f"`{short(name)}` must be a tensor. Received: {shown(tensor)}")
    return tensors


class _Archive:
    """The zip: every file in it lies in one folder, uncompressed."""

    def __init__(self, data):
        self.data = memoryview(data)
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                entries = archive.infolist()
        except _DAMAGE as error:
            raise WeightsError(f"The zip of the torch file is damaged: {short(str(error))}") from error
        if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
            raise WeightsError(
                "The zip of the torch file is compressed or encrypted, which `torch.save` never does."
            )
        self.entries = {entry.filename: entry for entry in entries}
        if sum(entry.file_size for entry in entries) > len(data) or len(self.entries) != len(entries):
            raise WeightsError("The zip of the torch file must hold each of its files once.")
        pickles = [name for name in self.entries if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise WeightsError(f"The zip of a torch file must hold one data.pkl. Received: {len(pickles)}")
        self.folder = pickles[0].removesuffix("data.pkl")
        order = f"{self.folder}byteorder"
        self.big_endian = order in self.entries and self.read("byteorder") == b"big"
        self.storages = {}

    def read(self, name):
        """Returns the bytes of a file of the zip, where they lie."""
        entry = self.entries.get(f"{self.folder}{name}")
        if entry is None:
            raise WeightsError(f"The zip of the torch file must hold `{short(name)}`, as its pickle says.")
        start = entry.header_offset + _LOCAL_HEADER.size
        if _LOCAL_HEADER.size <= start <= len(self.data):
            signature, *lengths = _LOCAL_HEADER.unpack(self.data[entry.header_offset : start])
            content = self.data[start + sum(lengths) :][: entry.file_size]
            if (
                signature == b"PK\3\4"
                and len(content) == entry.file_size
                and zlib.crc32(content) == entry.CRC
            ):
                return content
        raise WeightsError(f"`{short(name)}` in the zip of the torch file is damaged.")

    def storage(self, pointer):
        """Returns the flat array that a persistent id points to."""
        if not isinstance(pointer, tuple) or len(pointer) != 5:
            raise ValueError("a persistent id that is no storage")
        tag, kind, key, _, count = pointer
        dtype = _DTYPES.get(kind.text.removeprefix("torch.")) if isinstance(kind, Name) else None
        if shown(tag) != "'storage'" or dtype is None or not isinstance(key, str) or type(count) is not int:
            raise ValueError("a storage without type, place or size")
        if (key, dtype) not in self.storages:
            self.storages[key, dtype] = _flat(self.read(f"data/{key}"), dtype, self.big_endian)
        flat = self.storages[key, dtype]
        if flat.size != count:
            raise WeightsError(
                f"The storage {short(key)} must hold {shown(count)} numbers. Received: {flat.size}"
            )
        return flat


def _flat(data, dtype, big_endian):
    stored = np.dtype("u2" if dtype == "bfloat16" else dtype).newbyteorder(">" if big_endian else "<")
    if len(data) % stored.itemsize:
        raise WeightsError(f"A storage must hold whole {dtype} numbers. Received: {len(data)} bytes")
    flat = np.frombuffer(data, stored)
    return widened(flat) if dtype == "bfloat16" else flat


def _tensor(storage, offset, shape, strides, *_):
    """Stands for torch's `_rebuild_tensor_v2`: a view of a storage."""
    if not isinstance(storage, np.ndarray) or not isinstance(shape, tuple) or not isinstance(strides, tuple):
        raise ValueError("a tensor without storage, shape or strides")
    if len(shape) != len(strides) or len(shape) > 8:
        raise ValueError(f"a tensor of {len(shape)} sizes with {len(strides)} strides")
    if not all(type(number) is int and number >= 0 for number in (offset, *shape, *strides)):
        raise ValueError("a tensor whose place, shape or strides are no whole numbers")
    count = math.prod(shape)
    if not count:
        return np.zeros(shape, storage.dtype)
    end = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True)) + 1
    if count > storage.size or end > storage.size:
        raise ValueError(f"a tensor of the shape {shown(shape)} in a storage of {storage.size} numbers")
    places = [stride * storage.itemsize for stride in strides]
    return np.ndarray(shape, storage.dtype, storage, offset * storage.itemsize, places)
