"""Audio decoders behind one small interface: soundfile, PyAV and tensorflow-io."""

from __future__ import annotations

import functools
import importlib.util
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np

from zorro_keras.applications.pipelines.faults import ConfigError, MediaError
from zorro_keras.applications.pipelines.media_audio import resampled_blocks
from zorro_keras.applications.pipelines.media_open import (
    DEFAULT_LIMITS,
    Limits,
    check_limit,
    faults_of,
    open_media,
    open_whole_file,
)
from zorro_keras.applications.pipelines.media_timeline import fill_window, mix_down, place_blocks

# Sound before the first sample that counts, so that the resampler has settled.
_WARM_UP_SECONDS = 0.25
_BLOCK_FRAMES = 65536


class AudioProvider(Protocol):
    """Something that decodes sound.

    Attributes:
        name: str. How it is asked for.
        containers: frozenset of str. What it reads, in the words of `sniff_container`.
    """

    name: str
    containers: frozenset[str]

    def available(self) -> bool:
        """Whether it works in this environment."""

    def decode(
        self,
        path: str | Path,
        *,
        sample_rate_hz: int,
        start_seconds: float,
        num_samples: int,
        root: str | Path | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> np.ndarray | None:
        """Decodes one window of sound.

        Args:
            path: str or Path. A media file.
            sample_rate_hz: int. Sample rate wanted.
            start_seconds: float. Where the window starts.
            num_samples: int. Length of the window at the rate wanted.
            root: optional folder the file must lie in.
            limits: Limits.

        Returns:
            float32 `(num_samples,)`, mono, zero where the sound has not begun or is over; None if there is no
            sound in the window at all.

        Raises:
            MediaError: whatever is wrong with the file.
        """


class PyAVProvider:
    """Sound in any container, by FFmpeg."""

    name = "pyav"
    containers = frozenset({"mp4", "matroska", "avi", "wav", "flac", "ogg", "mp3"})

    def available(self) -> bool:
        return True

    def decode(self, path, *, sample_rate_hz, start_seconds, num_samples, root=None, limits=DEFAULT_LIMITS):
        with open_media(path, root=root, limits=limits) as media:
            if media.audio is None:
                raise media.fault("The file has no sound.", "no_audio", "open")
            blocks = resampled_blocks(media, sample_rate_hz=sample_rate_hz, start_seconds=start_seconds)
            return fill_window(blocks, round(start_seconds * sample_rate_hz), num_samples)


class SoundfileProvider:
    """Sound files, by libsndfile: exact positions in MP3, every sample format of WAV and FLAC."""

    name = "soundfile"
    containers = frozenset({"wav", "flac", "ogg", "mp3"})

    def available(self) -> bool:
        return importlib.util.find_spec("soundfile") is not None

    def decode(self, path, *, sample_rate_hz, start_seconds, num_samples, root=None, limits=DEFAULT_LIMITS):
        import soundfile

        with open_whole_file(path, root=root, limits=limits) as (file, kind):
            with faults_of(path, "open_audio"):
                sound = soundfile.SoundFile(file)
            with sound:
                _check_sound(path, sound.frames, sound.samplerate, sound.channels, limits)
                blocks = place_blocks(self._blocks(path, sound, kind, start_seconds), sample_rate_hz)
                return fill_window(blocks, round(start_seconds * sample_rate_hz), num_samples)

    def _blocks(
        self, path, sound, kind: str, start_seconds: float
    ) -> Iterator[tuple[float, np.ndarray, int]]:
        """Yields (seconds, mono samples, sample rate) from a little before a time to the end."""
        first = max(int((start_seconds - _WARM_UP_SECONDS) * sound.samplerate), 0)
        if first >= sound.frames:
            return
        position = 0
        if kind != "mp3":  # A frame of MP3 may use bits of frames before it, which a seek would pass over.
            with faults_of(path, "seek"):
                position = sound.seek(first)
        while position < sound.frames:
            num_frames = min(_BLOCK_FRAMES, sound.frames - position)
            with faults_of(path, "decode_audio"):
                samples = sound.read(num_frames, dtype="float32", always_2d=True).T
            _check_samples(path, samples, num_frames)
            if position + num_frames > first:
                yield position / sound.samplerate, mix_down(samples), sound.samplerate
            position += num_frames


class TensorflowIOProvider:
    """Sound files, by the native ops of tensorflow-io, where TensorFlow is the version they are built for."""

    name = "tensorflow_io"
    containers = frozenset({"wav", "flac", "ogg", "mp3"})

    def available(self) -> bool:
        return _native_audio_ops_load()

    def decode(self, path, *, sample_rate_hz, start_seconds, num_samples, root=None, limits=DEFAULT_LIMITS):
        with open_media(path, root=root, limits=limits) as media:
            if media.audio is None:
                raise media.fault("The file has no sound.", "no_audio", "open")
            codec = media.audio.codec_context
            rate_hz, channels = codec.sample_rate, codec.channels
            sample_type = codec.name if media.kind == "wav" else codec.format.name
            num_frames = round((media.declared_seconds or 0) * rate_hz)
        _check_sound(path, num_frames, rate_hz, channels, limits)
        check_limit(
            path, 4 * num_frames * channels, limits.max_decoded_bytes, "bytes"
        )  # It decodes whole files.
        with open_whole_file(path, root=root, limits=limits) as (file, kind), faults_of(path, "decode_audio"):
            samples = _decode_natively(file.read(), kind, sample_type)
        # Encoders of MP3 and Vorbis pad; anything much shorter than announced was cut.
        _check_samples(path, samples, num_frames - rate_hz // 4)
        first = max(int((start_seconds - _WARM_UP_SECONDS) * rate_hz), 0)
        blocks = place_blocks([(first / rate_hz, mix_down(samples[:, first:]), rate_hz)], sample_rate_hz)
        return fill_window(blocks, round(start_seconds * sample_rate_hz), num_samples)


AUDIO_PROVIDERS = MappingProxyType(
    {provider.name: provider for provider in (SoundfileProvider(), PyAVProvider(), TensorflowIOProvider())}
)


def choose_audio_provider(container: str, name: str | None = None) -> AudioProvider:
    """The provider that decodes the sound of a container.

    Args:
        container: str. In the words of `sniff_container`.
        name: optional str, a key of `AUDIO_PROVIDERS`. It reads what it can; PyAV reads the rest. Default:
            soundfile for sound files and PyAV for everything else.

    Raises:
        ConfigError: if there is no such provider, or it does not work in this environment.
    """
    if name is not None and name not in AUDIO_PROVIDERS:
        message = (
            f"`audio_provider` must be one of {sorted(AUDIO_PROVIDERS)}. Received: audio_provider={name!r}"
        )
        raise ConfigError(message, stage="choose_provider", reason="bad_value")
    provider = AUDIO_PROVIDERS[name or "soundfile"]
    if not provider.available():
        raise ConfigError(
            f"The audio provider {provider.name!r} does not work in this environment.",
            stage="choose_provider",
            reason="missing_dependency",
            advice="tensorflow-io works with the TensorFlow it was built for only: install the extra `tfio`.",
        )
    return provider if container in provider.containers else AUDIO_PROVIDERS["pyav"]


@functools.cache
def _native_audio_ops_load() -> bool:
    """Whether tensorflow-io is there and its compiled part fits the TensorFlow that is there."""
    if importlib.util.find_spec("tensorflow_io") is None:
        return False
    two_samples = b"RIFF\x28\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x80>\0\0\0}\0\0\2\0\x10\0data\4\0\0\0\1\0\2\0"
    try:
        return _decode_natively(two_samples, "wav", "pcm_s16le").shape == (1, 2)
    except Exception:  # Whatever a mismatched library raises, the answer is no.
        return False


def _decode_natively(content: bytes, kind: str, sample_type: str) -> np.ndarray:
    """All samples of a sound file as `(C, S)`, by tensorflow-io. PCM keeps its integer type."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It warns about its own file system plug-ins.
        import tensorflow as tf
        import tensorflow_io as tfio
    with tf.device("/CPU:0"):
        if kind == "wav":
            samples = tfio.audio.decode_wav(
                content, dtype=tf.as_dtype(_NATIVE_WAV_TYPES[sample_type])
            ).numpy()
        elif kind == "flac":
            samples = tfio.audio.decode_flac(
                content, dtype=tf.as_dtype(_NATIVE_FLAC_TYPES[sample_type])
            ).numpy()
        elif kind == "mp3":
            samples = tfio.audio.decode_mp3(content).numpy()
        else:
            samples = tfio.audio.decode_vorbis(content).numpy()
    if sample_type == "pcm_s32le":
        samples = samples.view(np.int32)
    return samples.T


# FFmpeg's name of the sample type -> the type tensorflow-io insists on. It takes any 32 bits of WAV for a
# float and hands them over as they are, so integers are recovered by looking at the same bits again.
_NATIVE_WAV_TYPES = MappingProxyType(
    {
        "pcm_u8": "uint8",
        "pcm_s16le": "int16",
        "pcm_s24le": "int32",
        "pcm_s32le": "float32",
        "pcm_f32le": "float32",
    }
)
_NATIVE_FLAC_TYPES = MappingProxyType({"s16": "int16", "s32": "int32"})


def _check_sound(path: str | Path, num_frames: int, rate_hz: int, channels: int, limits: Limits) -> None:
    check_limit(path, rate_hz, limits.max_sample_rate_hz, "samples per second")
    check_limit(path, channels, limits.max_channels, "channels")
    check_limit(path, num_frames / rate_hz, limits.max_seconds, "seconds")
    if num_frames == 0:
        message = "The sound holds not a single sample."
        raise MediaError(message, path=path, stage="open_audio", reason="empty_stream")


def _check_samples(path: str | Path, samples: np.ndarray, num_expected: int) -> None:
    if samples.shape[1] < num_expected:
        message = f"The sound has {samples.shape[1]} samples although {num_expected} were announced."
        raise MediaError(message, path=path, stage="decode_audio", reason="truncated")
    if samples.dtype.kind == "f" and not np.isfinite(samples).all():
        message = "The sound holds NaN or infinity."
        raise MediaError(message, path=path, stage="decode_audio", reason="non_finite")
