"""The spectrogram of a window has the frames that the model was built for, whatever the window's length."""

import dataclasses

import keras
import numpy as np
import pytest

from tests.backend import array
from zorro_keras.applications.audio_visual_classification.config import CONFIGS
from zorro_keras.applications.training.audio_visual_preprocessor import (
    AudioVisualPreprocessor,
    build_preprocessor,
)

TINY = CONFIGS["tiny"]


def preprocessor_of(seconds):
    geometry = dataclasses.replace(TINY.data.geometry, seconds=seconds)
    config = dataclasses.replace(TINY, data=dataclasses.replace(TINY.data, geometry=geometry))
    return build_preprocessor(config), geometry.num_samples


@pytest.mark.parametrize("seconds", [0.1, 0.3, 0.9999, 1.0, 1.01, 2.0, 2.55, 2.5601, 3.0, 10.0])
def test_a_window_of_any_length_gives_the_frames_of_the_model(seconds):
    preprocessor, num_samples = preprocessor_of(seconds)
    sound = np.random.default_rng(3).normal(size=(2, num_samples)).astype("float32")
    mel = array(preprocessor({"audio": sound})["audio"])
    assert mel.shape == (2, TINY.model.spectrogram_frames, TINY.model.spectrogram_bins)
    assert np.isfinite(mel).all()


def test_a_window_that_the_hops_divide_is_heard_as_without_a_limit():
    preprocessor, num_samples = preprocessor_of(TINY.data.geometry.seconds)
    sound = np.random.default_rng(5).normal(size=(1, num_samples)).astype("float32")
    np.testing.assert_array_equal(
        array(preprocessor({"audio": sound})["audio"]), array(preprocessor.log_mel(sound))
    )


def test_sound_that_is_longer_than_a_window_is_not_cut_in_silence():
    preprocessor, num_samples = preprocessor_of(1.0)
    mel = preprocessor({"audio": np.zeros((1, 2 * num_samples), "float32")})["audio"]
    assert mel.shape[1] == 2 * num_samples // 62


def test_the_frames_are_saved_and_an_older_preprocessor_keeps_all():
    preprocessor, num_samples = preprocessor_of(1.0)
    config = preprocessor.get_config()
    sound = np.zeros((1, num_samples), "float32")
    again = AudioVisualPreprocessor.from_config(config)
    assert keras.ops.shape(again({"audio": sound})["audio"])[1] == 256
    del config["spectrogram_frames"]
    assert keras.ops.shape(AudioVisualPreprocessor.from_config(config)({"audio": sound})["audio"])[1] == 258
