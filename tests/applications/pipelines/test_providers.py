"""Every audio provider gives the same sound at the same time, and says clearly where it does not work."""

import numpy as np
import pytest

from tests.media_maker import write_clip, write_sound
from zorro_keras.applications.pipelines.faults import ConfigError, MediaError
from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.pipelines.media import decode_window
from zorro_keras.applications.pipelines.providers import AUDIO_PROVIDERS, choose_audio_provider

TENSORFLOW_IO = AUDIO_PROVIDERS["tensorflow_io"]
PROVIDERS = [
    "soundfile",
    "pyav",
    pytest.param(
        "tensorflow_io",
        marks=[
            pytest.mark.tfio,
            pytest.mark.skipif(
                not TENSORFLOW_IO.available(),
                reason="tensorflow-io's native ops do not load with this TensorFlow",
            ),
        ],
    ),
]
FILES = [
    ("a.wav", "PCM_U8"),
    ("a.wav", "PCM_16"),
    ("a.wav", "PCM_24"),
    ("a.wav", "PCM_32"),
    ("a.wav", "FLOAT"),
    ("a.flac", "PCM_16"),
    ("a.flac", "PCM_24"),
    ("a.mp3", None),
    ("a.ogg", None),
]


def sweep(times):
    return 0.5 * np.sin(2 * np.pi * (200.0 + 150.0 * times) * times)


def decode(name, path, **settings):
    settings = {"sample_rate_hz": 16000, "start_seconds": 0.5, "num_samples": 8000, **settings}
    return AUDIO_PROVIDERS[name].decode(path, **settings)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(("name", "subtype"), FILES)
@pytest.mark.parametrize("rate_hz", [16000, 44100])
def test_every_provider_decodes_every_sound_file_alike(tmp_path, provider, name, subtype, rate_hz):
    path = write_sound(
        tmp_path / name, seconds=2.0, sample_rate_hz=rate_hz, channels=2, subtype=subtype, sound=sweep
    )
    samples = decode(provider, path)
    assert samples.shape == (8000,)
    assert samples.dtype == np.float32
    expected = sweep(0.5 + np.arange(8000) / 16000)
    # FFmpeg places the first page of Ogg up to 16 ms late, and tensorflow-io keeps the silence MP3 encoders
    # put first.
    is_shifted = (provider, name) in {("pyav", "a.ogg"), ("tensorflow_io", "a.mp3")}
    if is_shifted:
        assert np.sqrt(np.mean(samples**2)) == pytest.approx(np.sqrt(np.mean(expected**2)), abs=0.02)
    else:
        np.testing.assert_allclose(samples, expected, atol=0.05)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_provider_mixes_channels_down_to_their_mean(tmp_path, provider):
    def left_only(times):
        return np.stack([sweep(times), 0 * times], axis=1)

    samples = decode(provider, write_sound(tmp_path / "a.wav", seconds=2.0, channels=2, sound=left_only))
    np.testing.assert_allclose(samples, sweep(0.5 + np.arange(8000) / 16000) / 2, atol=0.01)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_provider_says_none_where_there_is_no_sound(tmp_path, provider):
    path = write_sound(tmp_path / "a.wav", seconds=2.0, sound=sweep)
    assert decode(provider, path, start_seconds=3.0) is None
    tail = decode(provider, path, start_seconds=1.9)
    assert np.abs(tail[:1500]).max() > 0.1
    assert np.abs(tail[1700:]).max() < 1e-4


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.ogg"])
def test_every_provider_refuses_a_cut_file(tmp_path, provider, name):
    path = write_sound(tmp_path / name, seconds=2.0, sound=sweep)
    assert decode(provider, path) is not None
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MediaError, match=name) as caught:
        decode(provider, path, start_seconds=0.0, num_samples=32000)
    assert caught.value.reason in {"truncated", "corrupt"}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_decode_window_uses_the_provider_asked_for(tmp_path, provider, monkeypatch):
    path = write_sound(tmp_path / "a.wav", seconds=2.0, sound=sweep)
    used = []
    kind = type(AUDIO_PROVIDERS[provider])
    original = kind.decode
    monkeypatch.setattr(
        kind, "decode", lambda self, *args, **kw: used.append(self.name) or original(self, *args, **kw)
    )
    window = decode_window(path, ClipGeometry(1.0, 16000, 1, 8, 8), audio_provider=provider)
    assert used == [provider]
    np.testing.assert_allclose(window.audio, sweep(np.arange(16000) / 16000), atol=0.01)


def test_containers_are_left_to_pyav(tmp_path):
    assert choose_audio_provider("mp4").name == "pyav"
    assert choose_audio_provider("mp4", "soundfile").name == "pyav"
    assert choose_audio_provider("wav").name == "soundfile"
    window = decode_window(
        write_clip(tmp_path / "a.mp4"), ClipGeometry(1.0, 16000, 1, 8, 8), audio_provider="soundfile"
    )
    assert window.audio.any()


def test_an_unknown_provider_is_refused_by_name():
    with pytest.raises(
        ConfigError, match="`audio_provider` must be one of .* Received: audio_provider='sox'"
    ):
        choose_audio_provider("wav", "sox")


def test_a_provider_that_does_not_work_here_says_what_to_install(monkeypatch):
    monkeypatch.setattr(type(TENSORFLOW_IO), "available", lambda self: False)
    with pytest.raises(ConfigError, match="'tensorflow_io' does not work in this environment") as caught:
        choose_audio_provider("wav", "tensorflow_io")
    assert caught.value.reason == "missing_dependency"
    assert "tfio" in caught.value.advice
