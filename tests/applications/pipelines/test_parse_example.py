"""Records are parsed as TensorFlow parses them, and whatever else the bytes are, as a ValueError."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.foreign_maker import example
from zorro_keras.applications.pipelines import parse_example as module
from zorro_keras.applications.pipelines.parse_example import parse_example
from zorro_keras.applications.pipelines.sequence_example import encode_sequence_example

INTEGERS = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5)
FLOATS = st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=5)
BLOBS = st.lists(st.binary(max_size=200), min_size=1, max_size=5)


@settings(max_examples=40)
@given(INTEGERS, FLOATS, BLOBS, st.lists(BLOBS, max_size=4))
def test_what_tensorflow_wrote_is_read_back(integers, floats, blobs, steps):
    parsed = parse_example(example({"i": integers, "f": floats, "b": blobs}, {"s": steps}))
    assert parsed.keys >= {"i", "f", "b"} and ("s" in parsed.keys) == bool(steps)
    assert parsed.integers("i") == integers
    assert parsed.floats("f").tolist() == floats
    assert parsed.items("b") == blobs
    assert parsed.items("s") == [blob for step in steps for blob in step]
    assert parsed.items("f") == [] and parsed.integers("b") == [] and parsed.floats("none").size == 0


def test_what_this_library_writes_is_read_back():
    payload = encode_sequence_example(
        {"i": [-1, 7], "t": ["ä"]}, {"f": [np.float32([1, 2]), np.float32([3])]}
    )
    parsed = parse_example(payload)
    assert (parsed.integers("i"), parsed.texts("t")) == ([-1, 7], ["ä"])
    assert parsed.floats("f").tolist() == [1, 2, 3]
    assert (parsed.number("i"), parsed.number("f"), parsed.number("t")) == (-1.0, 1.0, None)


def test_numbers_that_are_not_packed_are_read_too():
    """Writers of other languages may give each number a field of its own."""

    def field(number, value):
        return bytes([number << 3 | 2, len(value)]) + value

    def message(key, kind, values):
        return field(1, field(1, field(1, key) + field(2, field(kind, values))))

    two_floats = b"".join(b"\x0d" + np.float32(value).tobytes() for value in (1.5, -2.5))
    assert parse_example(message(b"f", 2, two_floats)).floats("f").tolist() == [1.5, -2.5]
    assert parse_example(message(b"i", 3, b"\x08\x05\x08\x96\x01")).integers("i") == [5, 150]


def test_the_bits_of_floats_that_are_no_numbers_are_kept():
    bits = np.array([0x7F800001, 0xFFFFFFFF, 1], "<u4")
    payload = encode_sequence_example({"f": bits.view("<f4")}, {})
    assert parse_example(payload).floats("f").view("<u4").tolist() == bits.tolist()


def test_text_that_is_not_utf_8_is_shown_as_escapes():
    assert parse_example(example({"t": [b"a\xff"]})).texts("t") == ["a\\xff"]


@settings(max_examples=300)
@given(st.data())
def test_any_other_bytes_are_a_value_error(data):
    payload = bytearray(example({"i": [1, 300], "b": b"abc"}, {"s": [[b"x"], [0.5]]}))
    if data.draw(st.booleans()):
        payload = bytearray(data.draw(st.binary(max_size=60)))
    else:
        for _ in range(data.draw(st.integers(1, 3))):
            payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        parsed = parse_example(bytes(payload))
        for key in parsed.keys:
            parsed.integers(key), parsed.floats(key), parsed.texts(key)
    except ValueError:
        pass


def test_more_whole_numbers_than_any_label_has_are_refused(monkeypatch):
    monkeypatch.setattr(module, "MAX_INTEGERS", 5)
    parsed = parse_example(example({"few": [1] * 5, "many": [1] * 6}))
    assert parsed.integers("few") == [1] * 5
    with pytest.raises(ValueError, match="many holds more than 5 whole numbers"):
        parsed.integers("many")
