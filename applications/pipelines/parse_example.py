"""Parses `tf.train.Example` and `tf.train.SequenceExample` messages without TensorFlow.

A value is decoded only when it is asked for, and never copied before: most of a record is pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

MAX_INTEGERS = 100_000  # each is decoded by Python: a feature with more of them is no label and no time
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3


class ParsedExample:
    """The features of one record, by key. One of the context counts as a list of one step.

    Args:
        steps: mapping from key to the encoded feature of each step.
    """

    def __init__(self, steps: Mapping[str, list[memoryview]]) -> None:
        self._steps = steps
        self.keys = frozenset(steps)

    def items(self, key: str) -> list[bytes]:
        """All byte strings under a key, of all steps; empty where there are none."""
        return [
            bytes(item)
            for values in self._values(key, _BYTES_LIST)
            for number, _, item in _fields(values)
            if number == 1 and isinstance(item, memoryview)
        ]

    def texts(self, key: str) -> list[str]:
        """As `items`, decoded; bytes that are not UTF-8 are shown as escapes."""
        return [item.decode("utf-8", "backslashreplace") for item in self.items(key)]

    def floats(self, key: str) -> np.ndarray:
        """All floats under a key, float32 `(S,)`, bit for bit."""
        parts = [
            item
            for values in self._values(key, _FLOAT_LIST)
            for number, _, item in _fields(values)
            if number == 1 and isinstance(item, memoryview)
        ]
        return np.frombuffer(parts[0] if len(parts) == 1 else b"".join(parts), "<f4")

    def integers(self, key: str) -> list[int]:
        """All whole numbers under a key.

        Raises:
            ValueError: if they are more than `MAX_INTEGERS`.
        """
        found: list[int] = []
        for values in self._values(key, _INT64_LIST):
            for number, _, item in _fields(values):
                if number == 1:
                    found.extend(_packed_integers(item) if isinstance(item, memoryview) else [_signed(item)])
                if len(found) > MAX_INTEGERS:
                    raise ValueError(f"{key} holds more than {MAX_INTEGERS} whole numbers")
        return found

    def number(self, key: str) -> float | None:
        """The first number under a key, whole or not; None where there is none."""
        numbers = [*self.integers(key)[:1], *self.floats(key)[:1].tolist()]
        return float(numbers[0]) if numbers else None

    def num_steps(self, key: str) -> int:
        """How many steps a key has."""
        return len(self._steps.get(key, ()))

    def _values(self, key: str, kind: int) -> Iterator[memoryview]:
        for feature in self._steps.get(key, ()):
            yield from (
                value for number, wire, value in _fields(feature) if number == kind and wire == _BYTES
            )


def parse_example(payload: bytes) -> ParsedExample:
    """Parses a record of a TFRecord file: an Example is a SequenceExample that has a context alone.

    Args:
        payload: bytes.

    Raises:
        ValueError: if it is neither.
    """
    steps: dict[str, list[memoryview]] = {}
    for part, features in _messages(memoryview(payload)):
        for _, entry in _messages(features):
            fields = dict(_messages(entry))
            if part not in (1, 2) or 1 not in fields:
                raise ValueError("the message is no Example and no SequenceExample")
            key, value = bytes(fields[1]).decode("utf-8", "replace"), fields.get(2, memoryview(b""))
            steps[key] = [value] if part == 1 else [step for _, step in _messages(value)]
    return ParsedExample(steps)


def _messages(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    for number, wire, value in _fields(view):
        if wire != _BYTES:
            raise ValueError("the message is no Example and no SequenceExample")
        yield number, value


def _fields(view: memoryview) -> Iterator[tuple[int, int, memoryview | int]]:
    """Yields (number, wire type, value) of each field; the value of a varint is an int, else its bytes."""
    position, end = 0, len(view)
    while position < end:
        tag, position = _varint(view, position)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, position = _varint(view, position)
            yield number, wire, value
            continue
        if wire == _BYTES:
            size, position = _varint(view, position)
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if wire == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"the message has a field of the unknown wire type {wire}")
        if size > end - position:
            raise ValueError("a field of the message is longer than the message")
        yield number, wire, view[position : position + size]
        position += size


def _varint(view: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(view):
            break
        byte = view[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number of the message does not end")


def _packed_integers(view: memoryview) -> list[int]:
    found, position = [], 0
    while position < len(view) and len(found) <= MAX_INTEGERS:
        value, position = _varint(view, position)
        found.append(_signed(value))
    return found


def _signed(value: int) -> int:
    value &= 0xFFFFFFFFFFFFFFFF
    return value - (1 << 64) if value >> 63 else value
