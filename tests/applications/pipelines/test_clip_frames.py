"""Frames of any size become frames of the model's size, from arrays and from JPEGs alike."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from zorro_keras.applications.pipelines.clip_frames import FrameFit  # noqa: E402

RANDOM = {"zoom": (1.0, 1.5), "flip_rate": 0.5, "colour_rate": 0.5, "grey_rate": 0.2}


def _smooth_video(height, width):
    rows, columns = np.mgrid[:height, :width] / max(height, width)
    frames = [np.stack([rows * 250, columns * 250, np.full_like(rows, 40 * f)], -1) for f in range(3)]
    return np.stack(frames).astype(np.uint8)


def _jpegs(video):
    return tf.stack([tf.io.encode_jpeg(frame, quality=98, chroma_downsampling=False) for frame in video])


def test_evaluation_crops_the_centre_and_changes_nothing_else():
    video = _smooth_video(14, 30)
    fit = FrameFit(7, 11)
    first = fit(video, 0).numpy()
    assert first.shape == (3, 7, 11, 3)
    np.testing.assert_array_equal(first, fit(video, 5))
    # The middle column of a horizontal ramp stays in the middle.
    assert abs(int(first[0, 3, 5, 1]) - int(video[0, 7, 15, 1])) <= 8


def test_training_depends_on_seed_and_position_only():
    video = _smooth_video(14, 30)
    results = {
        (seed, place): FrameFit(7, 11, seed=seed, **RANDOM)(video, place)
        for seed in (0, 1)
        for place in range(4)
    }
    assert len({result.numpy().tobytes() for result in results.values()}) == 8
    np.testing.assert_array_equal(results[1, 2], FrameFit(7, 11, seed=1, **RANDOM)(video, 2))


@pytest.mark.parametrize("scale", [1, 3, 5, 9, 17])
def test_jpegs_decoded_at_a_reduced_scale_look_like_the_whole_decode(scale):
    video = _smooth_video(14 * scale, 22 * scale)
    fit = FrameFit(7, 11, seed=0, zoom=(1.0, 1.5))
    whole, reduced = fit(video, 3).numpy(), fit.from_jpegs(_jpegs(video), 3).numpy()
    assert reduced.shape == (3, 7, 11, 3)
    assert np.abs(whole.astype(int) - reduced).mean() < 9
    assert np.abs(whole.astype(int) - fit(video, 4).numpy()).mean() > 0  # the position matters


def test_it_is_the_same_inside_a_dataset():
    jpegs = _jpegs(_smooth_video(40, 61))
    fit = FrameFit(7, 11, seed=0, **RANDOM)
    mapped = tf.data.Dataset.range(4).map(lambda place: fit.from_jpegs(jpegs, place), num_parallel_calls=2)
    for place, frames in enumerate(mapped):
        assert frames.shape == (3, 7, 11, 3)
        np.testing.assert_allclose(frames.numpy().astype(int), fit.from_jpegs(jpegs, place).numpy(), atol=1)


def test_a_broken_jpeg_is_an_error():
    jpegs = _jpegs(_smooth_video(14, 22))
    fit = FrameFit(7, 11)
    assert fit.from_jpegs(jpegs, 0).shape == (3, 7, 11, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="(?i)jpeg"):
        fit.from_jpegs(tf.constant([b"no picture"] * 3), 0)
