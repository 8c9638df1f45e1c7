"""Crop, scale, flip and colour: inside the picture, alike for all frames, decided by the seed."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from zorro_keras.applications.pipelines.augment_video import (  # noqa: E402
    centre_crop_box,
    crop_and_resize,
    random_colour,
    random_crop_box,
    random_flip,
)

VIDEO = np.random.default_rng(0).integers(0, 256, (5, 17, 29, 3), dtype=np.uint8)


def _boxes(count, zoom_range):
    return np.array(
        [random_crop_box(17, 29, 7, 11, (seed, 0), zoom_range=zoom_range) for seed in range(count)]
    )


def test_random_boxes_stay_inside_and_reach_every_edge():
    top, left, height, width = _boxes(200, (1.0, 1.5)).T
    assert (top.min(), left.min(), (top + height).max(), (left + width).max()) == (0, 0, 17, 29)
    assert (top >= 0).all()
    assert (left >= 0).all()


def test_scale_jitter_stays_within_its_range_and_keeps_the_aspect():
    _, _, height, width = _boxes(200, (1.0, 1.5)).T
    assert (height.min(), height.max()) == (11, 17)  # 17 / 1.5 = 11.3
    assert np.abs(width / height - 11 / 7).max() < 0.1
    assert len({*height}) > 3


def test_without_zoom_the_box_is_as_large_as_fits():
    assert {tuple(box[2:]) for box in _boxes(20, (1.0, 1.0))} == {(17, 27)}
    assert centre_crop_box(17, 29, 7, 11).numpy().tolist() == [0, 1, 17, 27]
    assert centre_crop_box(40, 8, 7, 11).numpy().tolist() == [17, 0, 5, 8]


def test_a_crop_of_the_same_size_changes_nothing():
    np.testing.assert_array_equal(crop_and_resize(VIDEO, tf.constant([0, 0, 17, 29]), 17, 29), VIDEO)
    part = crop_and_resize(VIDEO, tf.constant([3, 5, 7, 11]), 7, 11)
    np.testing.assert_array_equal(part, VIDEO[:, 3:10, 5:16])


def test_shrinking_averages_instead_of_dropping_pixels():
    stripes = np.zeros((1, 32, 32, 3), np.uint8)
    stripes[:, :, ::2] = 200
    small = crop_and_resize(stripes, tf.constant([0, 0, 32, 32]), 8, 8).numpy()
    assert small.dtype == np.uint8
    assert abs(small[:, :, 1:-1].astype(int) - 100).max() <= 15


def test_a_flip_mirrors_every_frame_or_none():
    results = [random_flip(VIDEO, (seed, 0)).numpy() for seed in range(40)]
    flipped = [(result == VIDEO[:, :, ::-1]).all() for result in results]
    kept = [(result == VIDEO).all() for result in results]
    assert all(one != other for one, other in zip(flipped, kept, strict=True))
    assert 8 <= sum(flipped) <= 32
    assert (random_flip(VIDEO, (0, 0), probability=0.0).numpy() == VIDEO).all()
    assert (random_flip(VIDEO, (0, 0), probability=1.0).numpy() == VIDEO[:, :, ::-1]).all()


def test_colour_changes_all_frames_alike():
    still = np.repeat(VIDEO[:1], 5, axis=0)
    changed = random_colour(still, (4, 0), probability=1.0, grey_probability=0.0).numpy()
    assert (changed == changed[:1]).all()
    assert (changed != still).mean() > 0.5


def test_colour_is_off_when_its_rates_are_zero():
    off = random_colour(VIDEO, (4, 0), probability=0.0, grey_probability=0.0)
    np.testing.assert_array_equal(off, VIDEO)


def test_grey_takes_all_colour_away_and_keeps_brightness():
    grey = random_colour(VIDEO, (4, 0), probability=0.0, grey_probability=1.0).numpy()
    assert (grey == grey[..., :1]).all()
    np.testing.assert_allclose(grey[..., 0], VIDEO @ np.array([0.299, 0.587, 0.114]), atol=0.51)


@pytest.mark.parametrize(
    "augment",
    [
        lambda video, seed: crop_and_resize(video, random_crop_box(17, 29, 7, 11, seed), 7, 11),
        random_flip,
        random_colour,
    ],
    ids=["crop", "flip", "colour"],
)
def test_each_op_is_decided_by_its_seed_and_the_same_inside_a_dataset(augment):
    eager = [augment(VIDEO, tf.constant([seed, 3])).numpy() for seed in range(6)]
    seeds = tf.data.Dataset.range(6).map(lambda seed: tf.stack([seed, tf.constant(3, tf.int64)]))
    mapped = seeds.map(
        lambda seed: augment(tf.constant(VIDEO), seed), num_parallel_calls=2, deterministic=True
    )
    for one, other in zip(eager, mapped, strict=True):
        np.testing.assert_allclose(one.astype(int), other.numpy().astype(int), atol=1)
    again = augment(VIDEO, tf.constant([2, 3])).numpy()
    np.testing.assert_array_equal(again, eager[2])
    assert any((result != eager[0]).any() for result in eager[1:])
