"""How a picture is covered by overlapping tiles, and how what they say is blended."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np

Grid = Literal["even", "released"]
GRIDS: tuple[str, ...] = ("even", "released")


def tile_starts(size: int, tile: int, overlap: int, grid: Grid = "even") -> list[int]:
    """Returns where tiles begin along an axis, ascending.

    Args:
        size: int. Pixels of the picture along the axis, at least `tile`.
        tile: int > 0. Pixels of a tile.
        overlap: int in [0, tile). Pixels that neighbouring tiles share at least.
        grid: "even" spreads as few tiles as are needed evenly. "released" is the grid of DeepMind's notebook:
            steps of `tile - overlap` from the start, the last tile moved back to the end. Where less than
            `overlap` pixels are left after a whole number of steps, the tile before the last one reaches
            beyond the picture, and there is no such grid: 1905 to 1923 columns, for instance.

    Raises:
        ValueError: for sizes that cannot be, or a released grid that does not exist.
    """
    if grid not in GRIDS:
        raise ValueError(f"`grid` must be one of {list(GRIDS)}. Received: {grid!r}")
    if not 0 <= overlap < tile <= size:
        raise ValueError(
            "`overlap` must lie in [0, tile), and `tile` must not exceed `size`. "
            f"Received: overlap={overlap}, tile={tile}, size={size}"
        )
    step, last = tile - overlap, size - tile
    if grid == "even":
        count = -(-last // step) + 1
        return [place * last // max(count - 1, 1) for place in range(count)]
    starts = [*range(0, size, step)][:-1] + [last]
    if max(starts) > last:
        raise ValueError(
            f"`grid='released'` has a tile that reaches beyond a picture of {size} pixels; 'even' fits every "
            f"size. Received: tile={tile}, overlap={overlap}, size={size}"
        )
    return sorted(set(starts))  # a picture of one tile has it twice


def tile_places(
    size_px: tuple[int, int], tile_px: tuple[int, int], overlap_px: int, grid: Grid = "even"
) -> list[tuple[slice, slice]]:
    """Returns the rows and columns of every tile of a picture, row by row; see `tile_starts`."""
    axes = zip(size_px, tile_px, strict=True)
    starts = [tile_starts(size, tile, overlap_px, grid) for size, tile in axes]
    height, width = tile_px
    return [
        (slice(row, row + height), slice(column, column + width))
        for row, column in itertools.product(*starts)
    ]


def tile_weights(tile_px: tuple[int, int]) -> np.ndarray:
    """Returns how much each pixel of a tile counts, float64 `(Y, X)`: its distance to the nearest border.

    Of pixel i of n along an axis that is the smaller of i + 1 and n - i, and of both axes the smaller.

    Reference:
        DeepMind's notebook on optical flow, google-deepmind/deepmind-research, folder perceiver.
    """
    rows, columns = (np.minimum(np.arange(n) + 1, n - np.arange(n)) for n in tile_px)
    return np.minimum(rows[:, None], columns[None, :]).astype("float64")


def blend(size_px: tuple[int, int], tiles: Iterable[tuple[tuple[slice, slice], np.ndarray]]) -> np.ndarray:
    """Returns the mean `(Y, X, C)`, float32, of what tiles say, weighted by `tile_weights`.

    Args:
        size_px: pair of int. Rows and columns of the picture, which the tiles cover.
        tiles: pairs of the rows and columns of a tile and its values `(rows, columns, C)`.
    """
    total, sums = np.zeros((*size_px, 1)), None
    for place, values in tiles:
        weights = tile_weights(values.shape[:2])[..., None]
        sums = np.zeros((*size_px, values.shape[-1])) if sums is None else sums
        sums[place] += weights * values
        total[place] += weights
    return (sums / total).astype("float32")


def batches_of(places: list, size: int) -> Iterator[list]:
    """Yields the places so many at a time; the last batch may be smaller."""
    for start in range(0, len(places), size):
        yield places[start : start + size]
