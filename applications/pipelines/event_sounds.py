"""Sounds of the eight generated events, in step with the motions of `event_pictures`."""

from collections.abc import Callable

import numpy as np

from zorro_keras.applications.pipelines.event_pictures import Event


def _sweep(frequency_hz: np.ndarray, times: np.ndarray) -> np.ndarray:
    """A tone whose pitch follows `frequency_hz` `(S,)`."""
    return np.sin(2 * np.pi * np.cumsum(frequency_hz) * (times[1] - times[0]))


def _since_last(event: Event, times: np.ndarray, per_cycle: int) -> tuple[np.ndarray, np.ndarray]:
    """Seconds since the latest beat, and that beat's number, at `per_cycle` beats in a period."""
    beats = event.cycles(times) * per_cycle
    return (beats % 1) * event.period_seconds / per_cycle, np.floor(beats).astype(int)


def _bounce(event: Event, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A thud at each touch of the ground."""
    since, _ = _since_last(event, times, 1)
    knock = 0.4 * rng.standard_normal(times.size) * np.exp(-since / 0.008)
    return (np.sin(2 * np.pi * rng.uniform(90, 150) * since) + knock) * np.exp(-since / 0.07)


def _swing(event: Event, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A beep at each end of the swing, high on one side and low on the other."""
    since, number = _since_last(event, times, 2)
    pitch_hz = rng.uniform(700, 1100) * np.where(number % 2 == 0, 1.0, 1.6)
    return np.sin(2 * np.pi * pitch_hz * since) * (since < 0.16) * np.minimum(1, since / 0.01)


def _rise(event: Event, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A tone that climbs two and a half octaves."""
    return _sweep(rng.uniform(250, 400) * 2 ** (2.5 * times / event.seconds), times)


def _fall(event: Event, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A tone that sinks two and a half octaves."""
    return _sweep(rng.uniform(250, 400) * 2 ** (2.5 * (1 - times / event.seconds)), times)


def _pulse(event: Event, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A steady chord that swells as the bar grows."""
    swell = (0.5 + 0.5 * np.cos(2 * np.pi * event.cycles(times))) ** 2
    pitch_hz = rng.uniform(400, 700)
    return swell * sum(np.sin(2 * np.pi * pitch_hz * ratio * times) for ratio in (1.0, 1.5, 2.0))


def _spin(event: Event, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A hum: a low tone with many harmonics, steady throughout."""
    pitch_hz = rng.uniform(90, 150)
    return sum(np.sin(2 * np.pi * pitch_hz * k * times + rng.uniform(0, 6)) / k**0.5 for k in range(1, 16))


def _flash(event: Event, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A dry click whenever the light goes on or off."""
    since, _ = _since_last(event, times, 2)
    return rng.standard_normal(times.size) * np.exp(-since / 0.012)


def _shake(event: Event, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rattling: bursts of hiss, some ten in a second."""
    rattle = np.sin(np.pi * rng.uniform(9, 13) * times) ** 4
    return np.diff(rng.standard_normal(times.size + 1)) * rattle


SOUNDS: dict[str, Callable[[Event, np.ndarray, np.random.Generator], np.ndarray]] = {
    "bounce": _bounce,
    "fall": _fall,
    "flash": _flash,
    "pulse": _pulse,
    "rise": _rise,
    "shake": _shake,
    "spin": _spin,
    "swing": _swing,
}


def play_event(event: Event, sample_rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Plays the event over some background noise: float32 `(S,)` in [-1, 1]."""
    times = np.arange(round(event.seconds * sample_rate_hz)) / sample_rate_hz
    sound = SOUNDS[event.name](event, times, rng)
    sound = sound / np.abs(sound).max()
    background = _coloured_noise(times.size, rng) * rng.uniform(0.002, 0.02)
    return _at_some_loudness(sound + background, rng)


def play_nothing(seconds: float, sample_rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Plays steady noise that says nothing about any event: float32 `(S,)` in [-1, 1]."""
    return _at_some_loudness(_coloured_noise(round(seconds * sample_rate_hz), rng), rng)


def _coloured_noise(num_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Noise of unit deviation whose spectrum falls by 0 to 6 dB an octave."""
    spectrum = np.fft.rfft(
        rng.standard_normal(num_samples + -num_samples % 4096)
    )  # a length with small factors
    spectrum[1:] *= np.arange(1, spectrum.size) ** -rng.uniform(0, 1)
    noise = np.fft.irfft(spectrum)[:num_samples]
    return noise / noise.std()


def _at_some_loudness(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (rng.uniform(0.2, 0.8) * sound / np.abs(sound).max()).astype(np.float32)
