"""Draws the ten classes of the generated pictures: six shapes and four textures.

Colour, place, size, turn, shade and grain vary freely within every class, so that only the form tells them
apart.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Field = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _circle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 1.0 - np.hypot(x, y)


def _ring(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 0.24 - np.abs(np.hypot(x, y) - 0.82)


def _square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 0.86 - np.maximum(np.abs(x), np.abs(y))


def _triangle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    turns = np.pi * (1 / 2 + np.arange(3) * 2 / 3)
    return 0.58 - np.max([np.cos(turn) * x + np.sin(turn) * y for turn in turns], axis=0)


def _cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = np.abs(x), np.abs(y)
    return np.minimum(0.3 - np.minimum(x, y), 1.05 - np.maximum(x, y))


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    angle = np.abs(np.arctan2(y, x) * 5 / (2 * np.pi) % 1.0 - 0.5) * 2.0
    return 0.45 + 0.75 * angle**2 - np.hypot(x, y)


def _stripes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 0.3 * np.sin(4.5 * x)


def _checks(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 0.4 * np.sin(4.0 * x) * np.sin(4.0 * y)


def _dots(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 0.42 - np.hypot(x % 1.5 - 0.75, y % 1.5 - 0.75)


def _circles(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 0.3 * np.sin(5.5 * np.hypot(x, y))


# Name -> a field that is positive inside the form, about one unit from centre to rim; textures fill it all.
SHAPES: dict[str, Field] = {
    "circle": _circle,
    "cross": _cross,
    "ring": _ring,
    "square": _square,
    "star": _star,
    "triangle": _triangle,
}
TEXTURES: dict[str, Field] = {"checks": _checks, "circles": _circles, "dots": _dots, "stripes": _stripes}
FORMS: dict[str, Field] = dict(sorted({**SHAPES, **TEXTURES}.items()))


def draw(form: str, height_px: int, width_px: int, rng: np.random.Generator) -> np.ndarray:
    """Draws one picture.

    Args:
        form: name in `FORMS`.
        height_px, width_px: int.
        rng: NumPy generator. The only source of chance.

    Returns:
        uint8 `(height_px, width_px, 3)`.
    """
    shorter = min(height_px, width_px)
    size = (0.22 if form in TEXTURES else rng.uniform(0.24, 0.4)) * shorter
    room = np.array([height_px, width_px]) / 2 - size
    centre = np.array([height_px, width_px]) / 2 + rng.uniform(-0.6, 0.6, 2) * np.maximum(room, 0.0)
    angle = rng.uniform(-np.pi, np.pi) if form in TEXTURES else rng.uniform(-0.6, 0.6)
    rows = (np.arange(height_px) + 0.5 - centre[0])[:, None] / size
    columns = (np.arange(width_px) + 0.5 - centre[1])[None, :] / size
    x = np.cos(angle) * columns + np.sin(angle) * rows
    y = np.cos(angle) * rows - np.sin(angle) * columns
    cover = np.clip(FORMS[form](x, y) * size + 0.5, 0.0, 1.0)[..., None]
    ground, colour = _colours(rng)
    shade = (
        1.0
        + rng.uniform(-0.25, 0.25) * columns[..., None] / 4
        + rng.uniform(-0.25, 0.25) * rows[..., None] / 4
    )
    picture = (ground + cover * (colour - ground)) * shade
    grain = rng.normal(size=(height_px, width_px, 1)) + 0.5 * rng.normal(size=(height_px, width_px, 3))
    return np.clip(np.round(picture + rng.uniform(2.0, 12.0) * grain), 0, 255).astype(np.uint8)


def _colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two colours that differ enough to be seen; either may be the brighter."""
    while True:
        ground, colour = rng.uniform(20, 235, (2, 3))
        if np.abs(ground - colour).mean() > 60:
            return ground, colour
