"""What a batch of tiles needs of memory, and how to read it so that it needs no more than given."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import keras

from zorro_keras.models import PerceiverIOBackbone

MOST_TILES = 8  # more at a time make no machine faster
SMALLEST_CHUNK = 512
# Arrays as large as all elements of a batch that exist at a time. In chunks: the elements, and what they are
# laid out in; XLA needs 2.1 of them, other compilers copy more. At once, their norm, keys and values as well.
COPIES_IN_CHUNKS = 4
COPIES_AT_ONCE = 7
# Float32 logits and their exponentials, and these in the dtype that the model computes in.
WEIGHT_BYTES = 8


@dataclass(frozen=True)
class Chunks:
    """How much a model of optical flow reads at a time.

    Attributes:
        tiles: int. Tiles in a batch.
        key_chunk: optional int. Elements that the latents read at a time; `None` for all.
        query_chunk: optional int. Elements that are answered at a time; `None` for all.
    """

    tiles: int = 1
    key_chunk: int | None = None
    query_chunk: int | None = None


def megabytes(backbone: PerceiverIOBackbone, tile_px: tuple[int, int], chunks: Chunks) -> float:
    """Returns what a batch of tiles needs beside the weights, by the arrays that exist at a time."""
    count, width, asking = _elements(backbone, tile_px)
    encoder, decoder = backbone.encoder, backbone.decoder
    size = _bytes_of(encoder.compute_dtype)
    arrays = (COPIES_AT_ONCE if chunks.key_chunk is None else COPIES_IN_CHUNKS) * count * width * size
    keys, queries = min(chunks.key_chunk or count, count), min(chunks.query_chunk or asking, asking)
    reads = max(keys * encoder.num_cross_heads, queries * decoder.num_heads)
    weights = reads * encoder.num_latents * (WEIGHT_BYTES + size)
    answers = queries * (3 * width + 2 * encoder.latent_dim) * size
    answers += queries * width * (4 if size < 4 else 0)  # the last layer reads them in float32
    return chunks.tiles * (arrays + weights + answers) / 2**20


def chunks_within(
    max_megabytes: float,
    backbone: PerceiverIOBackbone,
    tile_px: tuple[int, int],
    tiles: int | None = None,
) -> Chunks:
    """Returns the largest chunks that a bound of memory allows, then as many tiles at a time as it does.

    Args:
        max_megabytes: float. See `megabytes`.
        backbone: `PerceiverIOBackbone` with the input `frames` and the output `flow`.
        tile_px: pair of int. Rows and columns of a tile.
        tiles: optional int. Tiles in a batch; `None` for as many as fit once nothing is read in chunks, at
            most `MOST_TILES`.

    Raises:
        ValueError: if not even the smallest chunks fit.
    """
    count, _, _ = _elements(backbone, tile_px)
    chunk, fitting = SMALLEST_CHUNK, None
    while (found := _chunked(tiles or 1, chunk, count)) != fitting and _fits(
        found, max_megabytes, backbone, tile_px
    ):
        fitting, chunk = found, 2 * chunk
    if fitting is None:
        least = math.ceil(megabytes(backbone, tile_px, found))
        raise ValueError(
            f"`max_megabytes` must be at least {least} for {found.tiles} tiles of "
            f"{tile_px[0]} x {tile_px[1]} px at a time. Received: max_megabytes={max_megabytes}"
        )
    while tiles is None and fitting.key_chunk is None and fitting.tiles < MOST_TILES:
        more = replace(fitting, tiles=fitting.tiles + 1)
        if not _fits(more, max_megabytes, backbone, tile_px):
            break
        fitting = more
    return fitting


def _chunked(tiles: int, chunk: int, count: int) -> Chunks:
    return Chunks(tiles) if chunk >= count else Chunks(tiles, chunk, chunk)


def _fits(chunks, max_megabytes, backbone, tile_px):
    return megabytes(backbone, tile_px, chunks) <= max_megabytes


def _elements(backbone: PerceiverIOBackbone, tile_px: tuple[int, int]) -> tuple[int, int, int]:
    """Returns of a tile its elements, their channels, and how many elements ask."""
    adapter = backbone.input_adapters["frames"]
    frames, *_, channels = adapter.stream.shape
    _, places, *picture, _ = adapter.stem.compute_output_shape((1, frames, *tile_px, channels))
    asking = math.prod(picture)
    return places * asking, adapter.dim, asking


def _bytes_of(dtype: str) -> int:
    return 2 if "16" in keras.backend.standardize_dtype(dtype) else 4
