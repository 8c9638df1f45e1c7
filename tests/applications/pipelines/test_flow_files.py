"""Files of flow come back as they were written, and what is wrong with one is said."""

import struct

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from zorro_keras.applications.pipelines.faults import ConfigError, MediaError
from zorro_keras.applications.pipelines.flow_field import FlowField
from zorro_keras.applications.pipelines.flow_files import read_flow, write_flow
from zorro_keras.applications.pipelines.flow_float_files import decode_flo, decode_pfm, encode_flo, encode_pfm
from zorro_keras.applications.pipelines.flow_kitti_files import decode_kitti, encode_kitti

SIZES = st.tuples(st.integers(1, 7), st.integers(1, 11))
FLOATS = st.floats(-1e9, 1e9, width=32)


@st.composite
def fields(draw, elements):
    size = draw(SIZES)
    flow = draw(arrays.arrays(np.float32, (*size, 2), elements=elements))
    valid = draw(arrays.arrays(bool, size))
    return FlowField(np.where(valid[..., None], flow, np.float32(0)), valid)


def same(one, other):
    np.testing.assert_array_equal(one.flow, other.flow)
    np.testing.assert_array_equal(one.valid, other.valid)
    assert one.flow.dtype == np.float32 and one.valid.dtype == bool


@pytest.mark.slow
@given(fields(FLOATS))
def test_floats_survive_flo_and_pfm_bit_for_bit(field):
    same(decode_flo(encode_flo(field), "a.flo"), field)
    same(decode_pfm(encode_pfm(field), "a.pfm"), field)


@given(fields(st.integers(-(2**15), 2**15 - 1).map(lambda steps: steps / 64)))
def test_steps_of_a_64th_survive_a_png_exactly(field):
    same(decode_kitti(encode_kitti(field), "a.png"), field)


def field(height=3, width=5, seed=0):
    return FlowField.dense(np.random.default_rng(seed).normal(0, 9, (height, width, 2)))


def test_other_flows_survive_a_png_to_half_a_step():
    back = decode_kitti(encode_kitti(field()), "a.png")
    assert 0 < np.abs(back.flow - field().flow).max() <= 1 / 128


def test_the_bytes_are_those_of_the_formats():
    """Written out by hand from the descriptions of the formats."""
    flow = FlowField.dense(np.array([[[1.5, -2.0], [0.25, 4.0]]], np.float32))
    assert encode_flo(flow) == b"PIEH" + struct.pack("<ii4f", 2, 1, 1.5, -2.0, 0.25, 4.0)
    assert encode_pfm(flow) == b"PF\n2 1\n-1.0\n" + struct.pack("<6f", 1.5, -2, 0, 0.25, 4, 0)
    tall = FlowField.dense(np.array([[[1, 2]], [[3, 4]]], np.float32))
    assert encode_pfm(tall).endswith(struct.pack("<6f", 3, 4, 0, 1, 2, 0))  # the lowest row first
    stored = tf.io.decode_png(encode_kitti(flow), dtype=tf.uint16).numpy()
    assert stored.tolist() == [[[2**15 + 96, 2**15 - 128, 1], [2**15 + 16, 2**15 + 256, 1]]]


def test_a_pfm_of_the_other_byte_order_is_read():
    data = b"PF 2 1 1.0\n" + struct.pack(">6f", 1.5, -2, 9, 0.25, 4, 9)
    assert decode_pfm(data, "a.pfm").flow.tolist() == [[[1.5, -2.0], [0.25, 4.0]]]


@pytest.mark.parametrize("unknown", [np.nan, np.inf, -np.inf, 1e10, -1.1e9])
def test_what_cannot_be_a_flow_is_not_known(unknown):
    values = np.array([[[1.0, 2.0], [unknown, 3.0]]], np.float32)
    for data, decode in (
        (b"PIEH" + struct.pack("<ii", 2, 1) + values.tobytes(), decode_flo),
        (b"PF\n2 1\n-1\n" + np.pad(values, ((0, 0), (0, 0), (0, 1))).tobytes(), decode_pfm),
    ):
        found = decode(data, "a")
        assert found.valid.tolist() == [[True, False]] and found.flow.tolist() == [[[1, 2], [0, 0]]]


@pytest.mark.parametrize("suffix", [".flo", ".pfm", ".png"])
def test_a_file_is_told_by_its_content(suffix, tmp_path):
    flow = FlowField(np.round(field().flow), np.arange(15).reshape(3, 5) % 2 > 0)
    flow = FlowField(np.where(flow.valid[..., None], flow.flow, np.float32(0)), flow.valid)
    write_flow(tmp_path / f"a{suffix}", flow)
    (tmp_path / f"a{suffix}").rename(tmp_path / "b.txt")
    same(read_flow(tmp_path / "b.txt"), flow)
    assert [path.name for path in tmp_path.iterdir()] == ["b.txt"]


def png(array):
    return tf.io.encode_png(array).numpy()


FLO = encode_flo(field())
PFM = encode_pfm(field())
PNG = encode_kitti(field(30, 50))


@pytest.mark.parametrize(
    ("data", "reason", "message"),
    [
        (b"PIEX" + FLO[4:], "not_flow", "neither .flo, .pfm nor a PNG of flow: it starts with b'PIEX'"),
        (b"\0\0\0\0", "not_flow", "neither .flo, .pfm nor"),
        (FLO[:7], "truncated", "7 of 12 bytes"),
        (FLO[:-1], "truncated", "119 of 120 bytes"),
        (FLO + b"\0", "corrupt", "announces 5 x 3 px, 120 bytes of flow, but holds 121"),
        (FLO[:4] + struct.pack("<ii", -5, 3) + FLO[12:], "corrupt", "announces -5 x 3 px"),
        (FLO[:4] + struct.pack("<ii", 2**30, 2**30) + FLO[12:], "corrupt", "announces 1073741824 x"),
        (b"Pf" + PFM[2:], "not_flow", "one channel, so it holds no flow"),
        (PFM[:8], "truncated", "within its header"),
        (PFM[:3] + b" " * 4000, "truncated", "within its header"),
        (PFM[:-4], "truncated", "176 of 180 bytes"),
        (PFM + b"\0\0", "corrupt", "but holds 182"),
        (PFM.replace(b"-1.0", b"-2.0"), "corrupt", "scale of the .pfm must be 1 or -1. Received: -2.0"),
        (PFM.replace(b"5 3", b"5 x"), "corrupt", "header must hold numbers. Received: b'x'"),
        (PNG[:-30], "truncated", "ends before its end mark"),
        (PNG[:20], "truncated", "ends within its header"),
        (png(np.zeros((3, 5, 3), np.uint8)), "not_flow", "Received: PNG, RGB of 8 bits"),
        (png(np.zeros((3, 5, 1), np.uint16)), "not_flow", "Received: PNG, grey of 16 bits"),
        (png(np.zeros((3, 5, 4), np.uint16)), "not_flow", "Received: PNG, RGB and alpha of 16 bits"),
        (png(np.zeros((3, 5, 3), np.uint16)), "empty_flow", "Not one pixel of the flow is known"),
        (FLO[:12] + b"\xff" * 120, "empty_flow", "Not one pixel of the flow is known"),
        (b"", "zero_length", "The file is empty"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(data, reason, message, tmp_path):
    (tmp_path / "flow").write_bytes(data)
    with pytest.raises(MediaError, match=message) as caught:
        read_flow(tmp_path / "flow")
    assert caught.value.reason == reason and caught.value.path == str(tmp_path / "flow")


def test_damaged_bytes_of_a_png_are_noticed():
    damaged = bytearray(PNG)
    damaged[len(PNG) // 2] ^= 0xFF
    with pytest.raises(MediaError, match="cannot be decoded"):
        decode_kitti(bytes(damaged), "a.png")


def test_what_a_format_cannot_hold_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"within \[-512, 512\) px to be written as a PNG"):
        encode_kitti(FlowField.dense(np.full((2, 3, 2), 512.0)))
    with pytest.raises(ConfigError, match="Flow is written as .flo, .pfm, .png. Received: a.jpg"):
        write_flow(tmp_path / "a.jpg", field())
    with pytest.raises(ValueError, match=r"`flow` must have the shape \(Y, X, 2\)"):
        FlowField(np.zeros((2, 3, 3)), np.ones((2, 3), bool))
    with pytest.raises(ValueError, match="must be finite where it is `valid`"):
        FlowField.dense(np.full((2, 3, 2), np.nan))
