"""Flow as colours, beside its frame, and in a video."""

import colorsys

import av
import numpy as np
import pytest

from zorro_keras.applications.pipelines.encode_mp4 import encode_mp4
from zorro_keras.applications.pipelines.flow_field import FlowField
from zorro_keras.applications.pipelines.flow_pictures import colour_wheel, flow_colours, side_by_side
from zorro_keras.applications.pipelines.media_frames import video_frames


def colours_of(*vectors):
    return flow_colours(FlowField.dense(np.array([vectors], np.float32)))[0].tolist()


def test_direction_is_hue_and_length_is_saturation():
    right, down, left, up = colours_of((24, 0), (0, 24), (-24, 0), (0, -24))
    assert right == [255, 0, 0] and left == [0, 255, 255]
    assert down == [128, 255, 0] and up == [128, 0, 255]
    assert colours_of((0, 0), (12, 0), (240, 0)) == [[255, 255, 255], [255, 128, 128], [255, 0, 0]]


def test_colours_are_those_of_hsv():
    vectors = np.random.default_rng(0).normal(0, 14, (31, 2)).astype(np.float32)
    for (u, v), found in zip(vectors, colours_of(*vectors), strict=True):
        hue, length = np.arctan2(v, u) / (2 * np.pi) % 1, np.hypot(u, v)
        saturation = np.clip(length * 255 / 24, 0, 255) / 255
        expected = [255 * part for part in colorsys.hsv_to_rgb(hue, saturation, 1.0)]
        np.testing.assert_allclose(found, expected, atol=0.51)


def test_what_is_not_known_is_black_and_a_length_may_be_chosen():
    field = FlowField(np.full((1, 2, 2), 3, np.float32), np.array([[True, False]]))
    assert flow_colours(field, full_px=1.0)[0, 1].tolist() == [0, 0, 0]
    assert flow_colours(field, full_px=1.0)[0, 0].min() == 0
    with pytest.raises(ValueError, match="`full_px` must be positive"):
        flow_colours(field, full_px=0.0)


def test_the_legend_paints_each_direction_where_it_leads():
    wheel = colour_wheel(31)
    assert wheel.shape == (31, 31, 3) and wheel[15, 15].tolist() == [255, 255, 255]
    assert wheel[15, 30].tolist() == [255, 0, 0] and wheel[0, 0].tolist() == [255, 255, 255]
    assert wheel[30, 15].tolist() == colours_of((0, 24))[0]


def test_pictures_side_by_side_have_even_sizes():
    row = side_by_side(np.zeros((5, 7, 3), np.uint8), np.full((5, 4, 3), 9, np.uint8))
    assert row.shape == (6, 12, 3) and row[5, 11].tolist() == [9, 9, 9] and not row[:, :7].any()


def test_frames_given_one_by_one_become_the_same_video_and_are_all_read(tmp_path):
    frames = np.repeat(np.arange(0, 250, 50, dtype=np.uint8), 3 * 16 * 22).reshape(5, 16, 22, 3)
    encode_mp4(str(tmp_path / "a.mp4"), frames, 10, None, None)
    encode_mp4(str(tmp_path / "b.mp4"), (frame for frame in frames), 10, None, None)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    found = np.stack(list(video_frames(tmp_path / "b.mp4")))
    assert found.shape == frames.shape and np.abs(found.astype(int) - frames).mean() < 4
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].frames == 5
