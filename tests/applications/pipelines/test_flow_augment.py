"""Augmentation grows from nothing, and is a function of (seed, position)."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from zorro_keras.applications.pipelines.flow_augment import augmented, severity_at
from zorro_keras.applications.pipelines.flow_colour import erased, recoloured
from zorro_keras.applications.pipelines.flow_ranges import FlowRanges

SIZE = (23, 29)
RANGES = FlowRanges()


def pair(height=31, width=37):
    rng = np.random.default_rng(0)
    return {
        "frames": tf.constant(rng.uniform(0, 255, (2, height, width, 3)), tf.float32),
        "flow": tf.constant(rng.normal(0, 3, (height, width, 2)), tf.float32),
        "valid": tf.ones((height, width), tf.bool),
    }


@tf.function
def run(given, position, severity):
    return augmented(given, 7, position, severity, RANGES, SIZE)


def changed(position, severity, given=None):
    found = run(pair() if given is None else given, tf.constant(position, tf.int64), tf.constant(severity))
    return {name: value.numpy() for name, value in found.items()}


def test_without_severity_a_pair_is_only_cut():
    found, whole = changed(5, 0.0), {name: value.numpy() for name, value in pair().items()}
    places = [
        (row, column)
        for row in range(31 - SIZE[0] + 1)
        for column in range(37 - SIZE[1] + 1)
        if np.array_equal(whole["flow"][row : row + SIZE[0], column : column + SIZE[1]], found["flow"])
    ]
    ((row, column),) = places
    box = whole["frames"][:, row : row + SIZE[0], column : column + SIZE[1]]
    np.testing.assert_array_equal(found["frames"], box)


def test_the_same_position_is_changed_alike_and_another_otherwise():
    one, again, other = changed(5, 1.0), changed(5, 1.0), changed(6, 1.0)
    for name in ("frames", "flow", "valid"):
        np.testing.assert_array_equal(one[name], again[name])
    assert not np.array_equal(one["flow"], other["flow"])


@pytest.mark.parametrize("position", range(6))
def test_what_comes_out_is_a_pair_of_the_size_asked(position):
    found = changed(position, 1.0)
    assert found["frames"].shape == (2, *SIZE, 3) and found["flow"].shape == (*SIZE, 2)
    assert found["frames"].min() >= 0 and found["frames"].max() <= 255
    assert found["valid"].all()  # the crop never reaches beyond the picture


def test_a_small_pair_is_enlarged():
    found = changed(0, 0.0, pair(5, 7))
    assert found["frames"].shape == (2, *SIZE, 3) and found["valid"].all()


def test_severity_grows_in_a_straight_line():
    found = [float(severity_at(tf.constant(position, tf.int64), 4)) for position in (0, 1, 3, 9)]
    assert found == [0.25, 0.5, 1.0, 1.0]
    assert float(severity_at(tf.constant(0, tf.int64), 0)) == 1.0


def recolour(frames, seed=0, **ranges):
    nothing = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0, "asymmetric_rate": 0.0}
    return recoloured(frames, tf.constant([3, seed], tf.int64), **{**nothing, **ranges}).numpy()


def test_each_colour_change_does_what_it_says():
    frames = tf.constant(np.random.default_rng(0).uniform(60, 160, (2, 5, 7, 3)), tf.float32)
    given = frames.numpy()
    np.testing.assert_allclose(recolour(frames), given, atol=1e-3)
    ratio = recolour(frames, brightness=0.3) / given
    assert ratio.std() < 1e-5 and 0.7 <= ratio.mean() <= 1.3 and abs(ratio.mean() - 1) > 0.01
    luma = np.array([0.2989, 0.587, 0.114])
    pale = recolour(frames, saturation=0.5)
    np.testing.assert_allclose(pale @ luma, given @ luma, atol=0.1)
    chroma = [np.abs(each - (each @ luma)[..., None]).mean() for each in (pale, given)]
    assert abs(chroma[0] / chroma[1] - 1) > 0.02
    contrast = recolour(frames, contrast=0.5)
    assert contrast.mean() == pytest.approx(given.mean(), rel=0.02)
    assert abs(contrast.std() / given.std() - 1) > 0.02
    np.testing.assert_allclose(recolour(frames, hue=0.2).max(-1), given.max(-1), atol=0.1)  # the value of HSV


def test_frames_get_colours_of_their_own_as_often_as_asked():
    frame = np.random.default_rng(0).uniform(60, 160, (1, 5, 7, 3))
    frames = tf.constant(np.repeat(frame, 2, axis=0), tf.float32)
    for rate, alike in ((0.0, True), (1.0, False)):
        one, two = recolour(frames, brightness=0.3, asymmetric_rate=rate)
        assert np.array_equal(one, two) == alike


def test_boxes_hide_parts_of_the_second_frame_only():
    frames = tf.constant(np.random.default_rng(0).uniform(0, 255, (2, 40, 60, 3)), tf.float32)
    hidden = []
    for number in range(30):
        found = erased(frames, tf.constant([number, 1], tf.int64), rate=0.5, sides=(0.2, 0.4)).numpy()
        np.testing.assert_array_equal(found[0], frames[0])
        box = (found[1] != frames[1].numpy()).any(-1)
        np.testing.assert_allclose(
            found[1][box], np.broadcast_to(frames[1].numpy().mean((0, 1)), (box.sum(), 3)), rtol=1e-4
        )
        hidden.append(box.sum())
    assert 5 < np.count_nonzero(hidden) < 25 and max(hidden) <= 2 * 17 * 17
    none = erased(frames, tf.constant([1, 1], tf.int64), rate=0.0, sides=(0.2, 0.4)).numpy()
    np.testing.assert_array_equal(none, frames)


def test_ranges_are_those_of_the_reference():
    assert dataclasses.asdict(RANGES)["scale"] == (-0.2, 0.6) and RANGES.hue == pytest.approx(
        0.5 / np.pi, rel=1e-3
    )
