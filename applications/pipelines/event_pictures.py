"""Pictures of the eight generated events: one bright bar on a dark ground, told apart by how it moves.

Colour, place, size, shape, tilt and speed vary freely within every class.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Event:
    """The rhythm that picture and sound of one clip share.

    Attributes:
        name: str. One of `EVENT_CLASSES`.
        seconds: float. Length of the clip.
        period_seconds: float. Time of one bounce, swing, pulse or flash.
        phase: float in [0, 1). Where in the period the clip begins.
    """

    name: str
    seconds: float
    period_seconds: float
    phase: float

    def cycles(self, times: np.ndarray) -> np.ndarray:
        """Number of periods passed at each of `times` (seconds)."""
        return times / self.period_seconds + self.phase


@dataclass(frozen=True)
class Motion:
    """Where the bar is at each frame: arrays of shape `(F,)`, lengths in units of the picture's shorter side.

    `x` grows to the right and `y` downwards from the centre; `scale` multiplies the size; `angle` is in
    radians; `light`, in [0, 1], is how far the ground takes on the bar's brightness.
    """

    x: np.ndarray
    y: np.ndarray
    scale: np.ndarray
    angle: np.ndarray
    light: np.ndarray


def _still(times: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    ones = np.ones_like(times)
    return {
        "x": rng.uniform(-0.06, 0.06) * ones,
        "y": rng.uniform(-0.06, 0.06) * ones,
        "scale": ones,
        "angle": rng.uniform(0, np.pi) * ones,
        "light": 0 * ones,
    }


def _bounce(event: Event, times: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    height = 4 * (event.cycles(times) % 1) * (1 - event.cycles(times) % 1)
    return {"y": 0.3 - rng.uniform(0.5, 0.6) * height}


def _swing(event: Event, times: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {"x": rng.uniform(0.26, 0.34) * np.cos(2 * np.pi * event.cycles(times))}


def _rise(event: Event, times: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {"y": rng.uniform(0.32, 0.4) * (1 - 2 * times / event.seconds)}


def _fall(event: Event, times: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {"y": -_rise(event, times, rng)["y"]}


def _pulse(event: Event, times: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {"scale": 1.1 + 0.65 * np.cos(2 * np.pi * event.cycles(times))}


def _spin(event: Event, times: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {"angle": rng.choice([-1, 1]) * np.pi * event.cycles(times)}


def _flash(event: Event, times: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {"light": 0.5 * (event.cycles(times) % 1 < 0.5)}


def _shake(event: Event, times: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    jerk = (times * 12).astype(int)
    x, y, size, turn = rng.uniform(-1, 1, size=(4, jerk.max() + 1))
    angle = rng.uniform(0, np.pi) + 0.7 * turn[jerk]
    x, y = (np.sign(way) * (0.1 + 0.18 * np.abs(way)) for way in (x, y))  # never near the middle
    return {"x": x[jerk], "y": y[jerk], "scale": 1 + 0.3 * size[jerk], "angle": angle}


MOTIONS: dict[str, Callable[[Event, np.ndarray, np.random.Generator], dict[str, np.ndarray]]] = {
    "bounce": _bounce,
    "fall": _fall,
    "flash": _flash,
    "pulse": _pulse,
    "rise": _rise,
    "shake": _shake,
    "spin": _spin,
    "swing": _swing,
}


def motion_of(event: Event, times: np.ndarray, rng: np.random.Generator) -> Motion:
    """The bar's way through the clip at frame `times` (seconds, shape `(F,)`)."""
    return Motion(**{**_still(times, rng), **MOTIONS[event.name](event, times, rng)})


def draw_event(
    event: Event, times: np.ndarray, height_px: int, width_px: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws the event at frame `times`: uint8 `(F, Y, X, 3)`."""
    motion = motion_of(event, times, rng)
    ground, colour = _contrasting_colours(rng)
    shade = 1 + 0.06 * _blotches(height_px, width_px, rng)
    cover = _cover_of_bar(motion, height_px, width_px, rng)[..., None]
    dark = (ground * shade[..., None]).astype(np.float32)
    bright = colour.astype(np.float32)
    lit = dark + motion.light.astype(np.float32)[:, None, None, None] * (bright - dark)
    return _with_grain(lit + cover * (bright - lit), rng)


def _cover_of_bar(motion: Motion, height_px: int, width_px: int, rng: np.random.Generator) -> np.ndarray:
    """How much of each pixel the bar covers: float32 `(F, Y, X)` in [0, 1], with smooth edges."""
    length, aspect, is_ellipse = rng.uniform(0.2, 0.25), rng.uniform(2.4, 3.0), rng.random() < 0.5
    unit = min(height_px, width_px)
    x, y, scale, angle = (
        getattr(motion, name).astype(np.float32)[:, None, None] for name in ("x", "y", "scale", "angle")
    )
    rows = ((np.arange(height_px, dtype=np.float32) + 0.5 - height_px / 2) / unit)[None, :, None] - y
    columns = ((np.arange(width_px, dtype=np.float32) + 0.5 - width_px / 2) / unit)[None, None, :] - x
    along = np.abs(columns * np.cos(angle) + rows * np.sin(angle))
    across = np.abs(rows * np.cos(angle) - columns * np.sin(angle)) * aspect
    distance = np.hypot(along, across) if is_ellipse else np.maximum(along, across)
    return np.clip((length * scale - distance) * (unit / aspect) + 0.5, 0, 1)


def draw_nothing(num_frames: int, height_px: int, width_px: int, rng: np.random.Generator) -> np.ndarray:
    """Draws blotches, still or drifting, that say nothing about any event: uint8 `(F, Y, X, 3)`."""
    dark, bright = _contrasting_colours(rng)
    mix = np.clip(0.5 + 0.6 * _blotches(height_px, width_px, rng), 0, 1)[..., None]
    texture = (dark * (1 - mix) + bright * mix).astype(np.float32)
    step_y, step_x = rng.choice([0.0, 1.0]) * rng.uniform(-1.5, 1.5, size=2)
    drift = [
        np.roll(texture, (round(frame * step_y), round(frame * step_x)), axis=(0, 1))
        for frame in range(num_frames)
    ]
    return _with_grain(np.stack(drift), rng)


def _blotches(height_px: int, width_px: int, rng: np.random.Generator) -> np.ndarray:
    """A smooth random field `(Y, X)` that wraps around, of about zero mean and unit deviation."""
    noise = np.fft.rfft2(rng.standard_normal((height_px, width_px)))
    rows = np.fft.fftfreq(height_px)[:, None] * height_px
    columns = np.fft.rfftfreq(width_px)[None, :] * width_px
    field = np.fft.irfft2(noise * np.exp(-(rows**2 + columns**2) / 32), s=(height_px, width_px))
    return (field - field.mean()) / field.std()


def _contrasting_colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A dark and a bright colour, in [0, 255]."""
    return rng.uniform(10, 70, size=3), rng.uniform(170, 250, size=3)


def _with_grain(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    grain = rng.standard_normal(picture.shape[:3], dtype=np.float32)[..., None]
    return np.clip(picture + np.float32(rng.uniform(1, 3)) * grain, 0, 255).astype(np.uint8)
