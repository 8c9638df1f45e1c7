import keras
import numpy as np
import pytest

from tests.backend import array
from zorro_keras.layers import LogMelSpectrogram


def tone(hz, seconds=0.5, rate=16000):
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate).astype("float32")[None]


def mel(hz):
    return 2595 * np.log10(1 + hz / 700)


@pytest.mark.parametrize("hz", [440.0, 1000.0, 3000.0])
def test_a_tone_peaks_in_the_bin_of_its_pitch(hz):
    layer = LogMelSpectrogram(num_bins=64, min_hz=20.0, max_hz=8000.0)
    loudest = array(layer(tone(hz)))[0].mean(axis=0).argmax()
    edges = np.linspace(mel(20.0), mel(8000.0), 66)
    assert abs(loudest - (np.searchsorted(edges, mel(hz)) - 1)) <= 1


def test_time_runs_along_the_first_axis_in_steps_of_the_hop():
    silence_then_tone = np.concatenate([np.zeros((1, 8000), "float32"), tone(1000)], axis=1)
    frames = array(LogMelSpectrogram(num_bins=32)(silence_then_tone))[0]
    assert frames.shape == (100, 32)
    assert frames[:48].max() < frames[52:].mean(axis=0).max() - 5


def test_silence_is_the_offsets_logarithm():
    quiet = array(LogMelSpectrogram(num_bins=16, offset=1e-4)(np.zeros((1, 1600), "float32")))
    np.testing.assert_allclose(quiet, np.log(1e-4), rtol=1e-5)


def test_mean_and_std_normalise():
    plain, normal = LogMelSpectrogram(num_bins=16), LogMelSpectrogram(num_bins=16, mean=-5.0, std=2.0)
    np.testing.assert_allclose(array(normal(tone(440))), (array(plain(tone(440))) + 5) / 2, atol=1e-5)


@pytest.mark.parametrize(
    "name, shape", [("16khz_128", (50, 128)), ("16khz_64", (50, 64)), ("48khz_80", (23, 80))]
)
def test_named_specifications(name, shape):
    layer = LogMelSpectrogram.from_specification(name)
    waveform = np.zeros((2, layer.sample_rate_hz // 2), "float32")
    assert tuple(layer(waveform).shape) == (2, *shape)
    with pytest.raises(ValueError, match="Received: name='mp3'"):
        LogMelSpectrogram.from_specification("mp3")


def test_a_graph_takes_waveforms_of_any_length():
    layer, waveform = LogMelSpectrogram(num_bins=16), keras.Input((None,))
    model = keras.Model(waveform, layer(waveform))
    assert model.output.shape == (None, None, 16)
    for seconds in (0.5, 0.25):
        x = tone(440, seconds)
        np.testing.assert_allclose(model.predict(x, verbose=0), array(layer(x)), atol=2e-3)


@pytest.mark.tensorflow
def test_the_same_numbers_come_out_inside_a_tf_data_pipeline():
    import tensorflow as tf

    layer, waveform = LogMelSpectrogram(num_bins=16), tone(440)
    (mapped,) = tf.data.Dataset.from_tensors(waveform).map(layer)
    np.testing.assert_allclose(mapped.numpy(), array(layer(waveform)), atol=2e-3)


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match="Received: min_hz=20.0, max_hz=9000, sample_rate_hz=16000"):
        LogMelSpectrogram(max_hz=9000)
    with pytest.raises(ValueError, match="must be positive. Received: std=0"):
        LogMelSpectrogram(std=0)


def test_it_is_saved_by_its_specification():
    layer = LogMelSpectrogram(num_bins=16, mean=-3.0)
    rebuilt = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert rebuilt.get_config() == layer.get_config()
