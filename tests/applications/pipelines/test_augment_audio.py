"""SpecAugment hides what it says, and nothing else."""

import importlib.util

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from zorro_keras.applications.pipelines.augment_audio import spec_augment  # noqa: E402

HAS_TENSORFLOW_IO = importlib.util.find_spec("tensorflow_io") is not None
LOG_MEL = np.random.default_rng(0).normal(size=(11, 53, 23)).astype(np.float32) + 10.0
SETTINGS = {
    "num_frequency_masks": 2,
    "frequency_width_bins": 5,
    "num_time_masks": 1,
    "time_width_frames": 13,
}


def _hidden_axes(log_mel):
    """Which frames and which bins are hidden whole: bool `(B, T)` and `(B, bins)`."""
    hidden = np.asarray(log_mel) == 0.0
    return hidden.all(2), hidden.all(1)


def test_hidden_places_are_whole_bands_and_moments_and_the_rest_is_untouched():
    result = spec_augment(LOG_MEL, (0, 1), (0, 2), **SETTINGS).numpy()
    frames, bins = _hidden_axes(result)
    hidden = frames[:, :, None] | bins[:, None, :]
    np.testing.assert_array_equal(result == 0.0, hidden)
    np.testing.assert_array_equal(result[~hidden], LOG_MEL[~hidden])
    assert hidden.any()


def test_masks_are_as_wide_as_allowed_and_never_wider():
    num_frames, num_bins = [], []
    for seed in range(40):
        frames, bins = _hidden_axes(spec_augment(LOG_MEL, (seed, 1), (seed, 2), **SETTINGS))
        num_frames.extend(frames.sum(1))
        num_bins.extend(bins.sum(1))
    assert (min(num_frames), max(num_frames)) == (0, 13)
    assert min(num_bins) == 0
    assert 8 <= max(num_bins) <= 10


def test_every_bin_and_frame_can_be_hidden():
    frames, bins = zip(
        *(_hidden_axes(spec_augment(LOG_MEL, (s, 1), (s, 2), **SETTINGS)) for s in range(60)), strict=True
    )
    assert np.concatenate(frames).any(0).all()
    assert np.concatenate(bins).any(0).all()


def test_examples_of_one_batch_are_masked_differently():
    frames, bins = _hidden_axes(spec_augment(LOG_MEL, (0, 1), (0, 2), **SETTINGS))
    assert len({row.tobytes() for row in frames}) > 5
    assert len({row.tobytes() for row in bins}) > 5


def test_the_seeds_decide():
    first = spec_augment(LOG_MEL, (0, 1), (0, 2), **SETTINGS).numpy()
    again = spec_augment(LOG_MEL, (0, 1), (0, 2), **SETTINGS).numpy()
    other = spec_augment(LOG_MEL, (0, 3), (0, 4), **SETTINGS).numpy()
    assert (first == again).all()
    assert (first != other).any()


def test_no_masks_means_no_change():
    off = dict.fromkeys(SETTINGS, 0)
    np.testing.assert_array_equal(spec_augment(LOG_MEL, (0, 1), (0, 2), **off), LOG_MEL)


def test_masks_wider_than_the_spectrogram_stay_inside():
    wide = {**SETTINGS, "time_width_frames": 500, "frequency_width_bins": 500}
    assert spec_augment(LOG_MEL, (0, 1), (0, 2), **wide).shape == LOG_MEL.shape


def test_it_is_the_same_inside_a_dataset():
    dataset = tf.data.Dataset.from_tensors(LOG_MEL).map(lambda x: spec_augment(x, (0, 1), (0, 2), **SETTINGS))
    expected = spec_augment(LOG_MEL, (0, 1), (0, 2), **SETTINGS)
    np.testing.assert_array_equal(next(iter(dataset)), expected)


def test_an_unknown_provider_is_refused():
    with pytest.raises(ValueError, match="`provider` must be one of .*Received: provider='torchaudio'"):
        spec_augment(LOG_MEL, (0, 1), (0, 2), provider="torchaudio", **SETTINGS)


@pytest.mark.skipif(HAS_TENSORFLOW_IO, reason="tensorflow-io is installed")
def test_tensorflow_io_is_asked_for_by_name():
    with pytest.raises(ImportError, match=r"zorro-keras\[tfio\]"):
        spec_augment(LOG_MEL, (0, 1), (0, 2), provider="tensorflow-io", **SETTINGS)


@pytest.mark.tfio
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(not HAS_TENSORFLOW_IO, reason="tensorflow-io is not installed")
def test_tensorflow_io_masks_when_asked():
    def mask(log_mel):
        return spec_augment(log_mel, (0, 1), (0, 2), provider="tensorflow-io", **SETTINGS)

    for result in (mask(LOG_MEL), next(iter(tf.data.Dataset.from_tensors(LOG_MEL).map(mask)))):
        frames, bins = _hidden_axes(result)
        assert 0 < frames.sum(1).max() <= 13
        assert 0 < bins.sum(1).max() <= 10
