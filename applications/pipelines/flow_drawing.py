"""Draws two frames of textured layers that move, with the exact flow between them.

Each layer is a texture over the plane, cut out by a shape and moved by a similarity (shift, turn, scale).
Colours are functions of the plane, not of pixels, so both frames are drawn alike and flow is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zorro_keras.applications.pipelines.image_drawing import SHAPES

_NOISE_CELLS = 32


@dataclass(frozen=True)
class Motion:
    """What of a scene moves how much, at most.

    Attributes:
        background_px, shape_px: float. Shift of the background, and of each shape.
        turn_radians: float. Turn about its centre; the background turns a quarter as much.
        scale: float. Logarithm of the change of size; that of the background is a quarter.
    """

    background_px: float
    shape_px: float
    turn_radians: float = 0.15
    scale: float = 0.1


@dataclass(frozen=True)
class FlowScene:
    """What was drawn.

    Attributes:
        frames: uint8 `(2, Y, X, 3)`.
        flow: float32 `(Y, X, 2)`, from the first to the second, in pixels, u then v.
        occluded: bool `(Y, X)`. True = the pixel is hidden in the second frame, or has left it.
    """

    frames: np.ndarray
    flow: np.ndarray
    occluded: np.ndarray


def draw_scene(
    height_px: int, width_px: int, num_shapes: int, motion: Motion, rng: np.random.Generator
) -> FlowScene:
    """Draws one pair.

    Args:
        height_px, width_px: int.
        num_shapes: int >= 0. Shapes over the background, the later ones nearer.
        motion: `Motion`.
        rng: NumPy generator. The only source of chance.
    """
    layers = [_Layer.drawn(height_px, width_px, None, motion, rng)]
    layers += [
        _Layer.drawn(height_px, width_px, str(rng.choice(sorted(SHAPES))), motion, rng)
        for _ in range(num_shapes)
    ]
    rows, columns = np.mgrid[:height_px, :width_px]
    pixels = np.stack([columns, rows], axis=-1).astype(np.float64)
    frames = np.stack([_drawn(layers, pixels, moved) for moved in (False, True)])
    flow, occluded = _flow(layers, pixels)
    noise = rng.normal(0.0, 1.5, frames.shape)
    frames = np.clip(np.round(frames + noise), 0, 255).astype(np.uint8)
    return FlowScene(frames, flow.astype(np.float32), occluded)


@dataclass(frozen=True)
class _Layer:
    """A shape, or the background if there is none.

    Coordinates of the plane are those of the first frame about the layer's centre.
    """

    shape: str | None
    centre: np.ndarray  # x, y
    size_px: float
    angle: float
    matrix: np.ndarray  # of the plane, from the first frame to the second
    shift: np.ndarray
    noise: tuple[np.ndarray, ...]
    cells_px: tuple[float, ...]

    @classmethod
    def drawn(
        cls, height: int, width: int, shape: str | None, motion: Motion, rng: np.random.Generator
    ) -> _Layer:
        centre = np.array([width, height]) * (0.5 if shape is None else rng.uniform(0.15, 0.85, 2))
        share = 0.25 if shape is None else 1.0
        turn = share * motion.turn_radians * rng.uniform(-1, 1)
        scale = np.exp(share * motion.scale * rng.uniform(-1, 1))
        shift_px = motion.background_px if shape is None else motion.shape_px
        # Both directions and all lengths equally often, up to the largest.
        direction, length = rng.uniform(0, 2 * np.pi), shift_px * np.sqrt(rng.uniform())
        base = rng.uniform(40, 215, 3)
        noise = tuple(
            base / 2 + amplitude * rng.uniform(-1, 1, (_NOISE_CELLS, _NOISE_CELLS, 3))
            for amplitude in (90.0, 70.0)
        )
        return cls(
            shape,
            centre,
            rng.uniform(0.18, 0.36) * min(height, width),
            rng.uniform(-np.pi, np.pi),
            scale * _rotation(turn),
            length * np.array([np.cos(direction), np.sin(direction)]),
            noise,
            tuple(rng.uniform([8.0, 3.5], [14.0, 6.0])),
        )

    def moved(self, points: np.ndarray) -> np.ndarray:
        """Where points of the first frame `(..., 2)` are in the second."""
        return (points - self.centre) @ self.matrix.T + self.centre + self.shift

    def unmoved(self, points: np.ndarray) -> np.ndarray:
        """Where points of the second frame were in the first."""
        return (points - self.centre - self.shift) @ np.linalg.inv(self.matrix).T + self.centre

    def cover(self, points: np.ndarray) -> np.ndarray:
        """How much of points of the first frame it covers, in [0, 1], soft over a pixel."""
        if self.shape is None:
            return np.ones(points.shape[:-1])
        local = (points - self.centre) @ _rotation(self.angle) / self.size_px
        return np.clip(SHAPES[self.shape](local[..., 0], local[..., 1]) * self.size_px + 0.5, 0.0, 1.0)

    def colour(self, points: np.ndarray) -> np.ndarray:
        """Its colour at points of the first frame, float `(..., 3)`."""
        return sum(
            _smooth(noise, points / cell) for noise, cell in zip(self.noise, self.cells_px, strict=True)
        )


def _rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _smooth(noise: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values of a periodic grid `(N, N, 3)` at places `(..., 2)` between its points, without kinks."""
    corner = np.floor(places)
    share = places - corner
    share = (3.0 - 2.0 * share) * share**2
    x0, y0 = np.moveaxis(corner.astype(np.int64) % len(noise), -1, 0)
    x1, y1 = (x0 + 1) % len(noise), (y0 + 1) % len(noise)
    wx, wy = share[..., :1], share[..., 1:]
    above = noise[y0, x0] * (1 - wx) + noise[y0, x1] * wx
    below = noise[y1, x0] * (1 - wx) + noise[y1, x1] * wx
    return above * (1 - wy) + below * wy


def _drawn(layers: list[_Layer], pixels: np.ndarray, moved: bool) -> np.ndarray:
    picture = np.zeros((*pixels.shape[:2], 3))
    for layer in layers:
        points = layer.unmoved(pixels) if moved else pixels
        cover = layer.cover(points)[..., None]
        picture += cover * (layer.colour(points) - picture)
    return picture


def _flow(layers: list[_Layer], pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flow of the nearest layer at each pixel, and whether a nearer one hides where it goes."""
    height, width = pixels.shape[:2]
    flow, top = np.zeros_like(pixels), np.zeros((height, width), np.int64)
    for number, layer in enumerate(layers):
        there = layer.cover(pixels) > 0.5
        flow[there] = (layer.moved(pixels) - pixels)[there]
        top[there] = number
    ends = pixels + flow
    gone = (ends < -0.5).any(axis=-1) | (ends > np.array([width, height]) - 0.5).any(axis=-1)
    for number, layer in enumerate(layers):
        gone |= (layer.cover(layer.unmoved(ends)) > 0.5) & (top < number)
    return flow, gone
