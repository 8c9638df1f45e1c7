"""The TFRecord frame around a payload: length, payload and their checksums, without TensorFlow."""

from __future__ import annotations

import functools
import os
import struct
from collections.abc import Iterator

import numpy as np

FRAME_BYTES = 16  # length (8), its checksum (4), checksum of the payload (4)
_POLYNOMIAL = 0x82F63B78  # CRC-32C (Castagnoli), bits reversed


def frame_record(payload: bytes) -> bytes:
    """`payload` as one record of a TFRecord file."""
    length = struct.pack("<Q", len(payload))
    return b"".join((length, _checksum(length), payload, _checksum(payload)))


def unframe_record(record: bytes) -> bytes | None:
    """The payload of a record as it lies in the file, or `None` where a checksum or the length does not
    fit.
    """
    payload = record[12:-4]
    intact = len(record) >= FRAME_BYTES and record == frame_record(payload)
    return payload if intact else None


def record_places(path: str, max_record_bytes: int = 1 << 30) -> Iterator[tuple[int, int]]:
    """Where the records of a file lie, as (offset, number of bytes) with their frames.

    Where the file is cut or a length is damaged, no later record can be found: what is left comes as the last
    place, which `unframe_record` will not take.
    """
    size, offset = os.path.getsize(path), 0
    with open(path, "rb") as file:
        while offset < size:
            file.seek(offset)
            head = file.read(12)
            num_bytes = FRAME_BYTES + struct.unpack("<Q", head[:8])[0] if len(head) == 12 else size
            intact = num_bytes <= max_record_bytes and head[8:] == _checksum(head[:8])
            num_bytes = min(num_bytes, size - offset) if intact else size - offset
            yield offset, num_bytes
            offset += num_bytes


def _checksum(data: bytes) -> bytes:
    """The masked CRC-32C that TFRecord files hold, as four bytes."""
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def crc32c(data: bytes) -> int:
    """CRC-32C of `data`, about as fast as the disk.

    The data are cut into equal lanes whose remainders advance together, one NumPy step a byte; then
    neighbouring lanes are joined in pairs, since advancing a remainder over `n` zero bytes is a linear map.
    """
    lanes = 1 << max(0, (len(data).bit_length() - 1) // 2 + 1)
    steps = -(-len(data) // lanes)
    padded = np.zeros(lanes * steps, np.uint8)  # zeros in front leave a zero remainder as it is
    padded[lanes * steps - len(data) :] = np.frombuffer(data, np.uint8)
    columns = np.ascontiguousarray(padded.reshape(lanes, steps).T)
    table = _byte_table()
    remainders = np.zeros(lanes, np.uint32)
    for column in columns:
        remainders = table[(remainders ^ column) & 0xFF] ^ (remainders >> 8)
    advance = _advance_over_zeros(steps)
    while remainders.size > 1:
        remainders = _apply(advance, remainders[0::2]) ^ remainders[1::2]
        advance = _apply(advance, advance)
    start = _apply(_advance_over_zeros(len(data)), np.array([0xFFFFFFFF], np.uint32))
    return int(remainders[0] ^ start[0]) ^ 0xFFFFFFFF


@functools.cache
def _byte_table() -> np.ndarray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ np.uint32(_POLYNOMIAL), table >> 1).astype(np.uint32)
    return table


@functools.lru_cache(maxsize=1024)
def _advance_over_zeros(num_bytes: int) -> np.ndarray:
    """The linear map of a remainder over `num_bytes` zero bytes: where each of the 32 bits goes, uint32
    `(32,)`.
    """
    bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
    step = _byte_table()[bits & 0xFF] ^ (bits >> 8)
    total = bits
    while num_bytes:
        if num_bytes & 1:
            total = _apply(step, total)
        step = _apply(step, step)
        num_bytes >>= 1
    return total


def _apply(linear_map: np.ndarray, values: np.ndarray) -> np.ndarray:
    result = np.zeros_like(values)
    for bit in range(32):
        result ^= linear_map[bit] * (values >> np.uint32(bit) & np.uint32(1))
    return result
