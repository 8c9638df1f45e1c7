"""Optical flow of pictures of any size, by tiles of the size that a model was trained on."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np

from zorro_keras.applications.optical_flow.memory import Chunks, chunks_within
from zorro_keras.applications.optical_flow.tiles import Grid, batches_of, blend, tile_places
from zorro_keras.models import PerceiverIOBackbone

OVERLAP_PX = 20
FLOW_SCALE = 20.0  # pixels to one unit of the published models' answers


class TiledFlow:
    """Runs a model of optical flow over pairs of pictures of any size.

    Tiles of one size are answered so many at a time, always in batches of one shape, so that the model is
    compiled once whatever the pictures' sizes; where they overlap their answers are blended. A picture that
    is smaller than a tile along an axis is filled up to it by repeating its last row or column, and the
    answer is cut to the picture: stretching it, or a smaller tile, would show the model positions and motions
    on a scale that it was not trained on.

    Args:
        model: `PerceiverIOBackbone` with the input `frames` and the output `flow`, or a task on one.
        tile_px: two ints. Rows and columns of a tile; `None` for those of the model's frames, on which it was
            trained.
        overlap_px: int. Pixels that neighbouring tiles share at least; `None` for 20, as published, or half
            of a side shorter than 40 px.
        grid: "even" or "released", see `tile_starts`.
        tiles_per_batch: int. Tiles that are answered at a time; `None` for 1, or for what `max_megabytes`
            allows, up to 8.
        max_megabytes: optional number. The most memory that a batch may take beside the weights, as `memory`
            reckons it: sets how many keys and queries the model reads at a time, from now on also in other
            calls, whose numbers stay the same up to rounding. `None` leaves the model as it is.
        flow_scale: optional float. Pixels to one unit of the model's answers; `None` for the task's, or 20 as
            in the published models.

    Call arguments:
        first: array `(Y, X, 3)`, uint8, or float in [-1, 1].
        second: the same of the frame that follows.

    Returns:
        Float32 array `(Y, X, 2)`: where each pixel of the first frame goes, in pixels, to the right and down.

    Raises:
        ValueError: for frames of unequal sizes or another kind, a grid that does not exist at their size, a
            batch of less than one tile, or memory that not even the smallest batch fits.

    Reference:
        Perceiver IO, arXiv 2107.14795, appendix on optical flow: evenly spread tiles; the blending and the
        released grid are those of its published notebook.
    """

    def __init__(
        self,
        model: keras.Model,
        tile_px: tuple[int, int] | None = None,
        overlap_px: int | None = None,
        grid: Grid = "even",
        tiles_per_batch: int | None = None,
        max_megabytes: float | None = None,
        flow_scale: float | None = None,
    ) -> None:
        self.backbone: PerceiverIOBackbone = getattr(model, "backbone", model)
        self.tile_px = tuple(tile_px or self.backbone.streams["frames"].shape[1:3])
        self.overlap_px = min(OVERLAP_PX, min(self.tile_px) // 2) if overlap_px is None else overlap_px
        self.grid = grid
        self.tiles_per_batch = tiles_per_batch or 1
        self.chunks: Chunks | None = None
        self.flow_scale = getattr(model, "flow_scale", FLOW_SCALE) if flow_scale is None else flow_scale
        if tiles_per_batch is not None and tiles_per_batch < 1:
            raise ValueError(
                f"`tiles_per_batch` must be positive or None. Received: tiles_per_batch={tiles_per_batch}"
            )
        tile_places(self.tile_px, self.tile_px, self.overlap_px, grid)  # refuses what can never be
        if max_megabytes is not None:
            self.chunks = chunks_within(max_megabytes, self.backbone, self.tile_px, tiles_per_batch)
            self.tiles_per_batch = self.chunks.tiles
            self.backbone.encoder.set_key_chunk(self.chunks.key_chunk)
            self.backbone.decoder.query_chunk = self.chunks.query_chunk
            self.backbone.make_predict_function(force=True)

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        pair = pair_of(first, second)
        size_px = pair.shape[1:3]
        pair = _filled_up(pair, self.tile_px)
        flow = blend(pair.shape[1:3], self._answers(pair, self.places(size_px)))
        return flow[: size_px[0], : size_px[1]] * np.float32(self.flow_scale)

    def places(self, size_px: tuple[int, int]) -> list[tuple[slice, slice]]:
        """Returns the rows and columns of the tiles of a picture, filled up to a tile where it is smaller.

        Raises:
            ValueError: if the grid does not exist at that size.
        """
        filled = tuple(max(size, tile) for size, tile in zip(size_px, self.tile_px, strict=True))
        return tile_places(filled, self.tile_px, self.overlap_px, self.grid)

    def _answers(self, pair: np.ndarray, places: list) -> Iterator[tuple[tuple[slice, slice], np.ndarray]]:
        """Yields the place and the answer `(rows, columns, 2)` of every tile."""
        for batch in batches_of(places, self.tiles_per_batch):
            frames = np.stack([pair[:, rows, columns] for rows, columns in batch])
            spare = self.tiles_per_batch - len(batch)
            frames = np.concatenate([frames, np.repeat(frames[:1], spare, axis=0)])  # one shape, one program
            answers = self.backbone.predict_on_batch({"frames": frames})["flow"]
            yield from zip(batch, np.asarray(answers, "float32"), strict=False)


def pair_of(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns two frames as models take them, float32 `(2, Y, X, 3)` in [-1, 1].

    Raises:
        ValueError: unless both are colour pictures of one size and kind, uint8 or float in [-1, 1].
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape or first.dtype != second.dtype or first.ndim != 3 or first.shape[-1] != 3:
        raise ValueError(
            "Two frames (Y, X, 3) of one size and dtype are expected. "
            f"Received: {first.dtype} {first.shape} and {second.dtype} {second.shape}"
        )
    if not first.size:
        raise ValueError(f"A frame must have pixels. Received: {first.shape}")
    pair = np.stack([first, second])
    if pair.dtype == np.uint8:
        return pair.astype("float32") / np.float32(127.5) - 1
    if pair.dtype.kind != "f" or not np.abs(pair).max() <= 1:  # neither is NaN
        raise ValueError(
            "Frames must be uint8, or float in [-1, 1]. "
            f"Received: {pair.dtype} in [{pair.min()}, {pair.max()}]"
        )
    return pair.astype("float32")


def _filled_up(pair: np.ndarray, tile_px: tuple[int, int]) -> np.ndarray:
    missing = [(0, max(tile - size, 0)) for tile, size in zip(tile_px, pair.shape[1:3], strict=True)]
    return np.pad(pair, [(0, 0), *missing, (0, 0)], mode="edge")
