"""Encodes `tf.train.SequenceExample` messages without TensorFlow, the same bytes for the same input."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

# One feature: bytes (or text), whole numbers, or a float32 array.
Feature = Sequence[bytes] | Sequence[str] | Sequence[int] | np.ndarray


def encode_sequence_example(context: Mapping[str, Feature], lists: Mapping[str, Sequence[Feature]]) -> bytes:
    """Encodes one example.

    Args:
        context: mapping from key to the feature of the whole example.
        lists: mapping from key to one feature a step.

    Returns:
        The serialized message, its keys in sorted order.
    """
    features = b"".join(_entry(key, _feature(context[key])) for key in sorted(context))
    feature_lists = b"".join(
        _entry(key, b"".join(_field(1, _feature(step)) for step in lists[key])) for key in sorted(lists)
    )
    return _field(1, features) + _field(2, feature_lists)


def _entry(key: str, value: bytes) -> bytes:
    return _field(1, _field(1, key.encode()) + _field(2, value))


def _feature(values: Feature) -> bytes:
    if isinstance(values, np.ndarray):
        return _field(2, _field(1, values.astype("<f4").tobytes()))
    if all(isinstance(value, int) for value in values):
        return _field(3, _field(1, b"".join(_varint(value & 0xFFFFFFFFFFFFFFFF) for value in values)))
    return _field(1, b"".join(_field(1, item) for item in _as_bytes(values)))


def _as_bytes(values: Iterable[bytes | str]) -> Iterable[bytes]:
    return (value.encode() if isinstance(value, str) else value for value in values)


def _field(number: int, value: bytes) -> bytes:
    """A field that holds bytes, with its length."""
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)
