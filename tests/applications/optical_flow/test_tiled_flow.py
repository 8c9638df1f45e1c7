"""A model of one size answers pictures of any."""

import numpy as np
import pytest

from tests.backend import array
from tests.without_numbers import without_numbers
from zorro_keras.applications.optical_flow.memory import Chunks, chunks_within, megabytes
from zorro_keras.applications.optical_flow.tiled_flow import TiledFlow, pair_of
from zorro_keras.models import PerceiverIOBackbone

SIZES = {
    "size_px": (11, 13), "embed_dim": 5, "num_bands": 3, "num_latents": 7, "latent_dim": 16, "num_layers": 1,
    "num_heads": 2,
}  # fmt: skip


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), "uint8")


def pair(height, width):
    return picture(height, width), picture(height, width, 1)


class Constant:
    """A model that always answers one flow, and notes what it is asked."""

    flow_scale = 20.0

    def __init__(self, tile_px):
        self.backbone = self
        self.streams = {"frames": type("Frames", (), {"shape": (2, *tile_px, 3)})}
        self.asked = []

    def predict_on_batch(self, inputs):
        frames = inputs["frames"]
        self.asked.append(frames.shape)
        return {"flow": np.broadcast_to(np.float32([0.25, -0.1]), (*frames.shape[:1], *frames.shape[2:4], 2))}


@pytest.fixture(scope="module")
def backbone():
    model = PerceiverIOBackbone.from_variant("optical_flow", **SIZES)
    kernel = model.decoder.output_dense.kernel
    kernel.assign(np.random.default_rng(3).normal(size=kernel.shape))
    return model


@pytest.mark.parametrize("size", [(11, 13), (12, 31), (5, 40), (29, 7), (3, 2)])
def test_a_constant_flow_stays_constant_at_every_size(size):
    model = Constant((11, 13))
    flow = TiledFlow(model, overlap_px=3, tiles_per_batch=2)(*pair(*size))
    assert flow.shape == (*size, 2) and flow.dtype == np.float32
    np.testing.assert_allclose(flow, np.broadcast_to(np.float32([5, -2]), flow.shape), rtol=1e-6)
    assert set(model.asked) == {(2, 2, 11, 13, 3)}  # one shape, one program


@pytest.mark.parametrize("width", range(1905, 1924, 6))
def test_widths_on_which_the_released_tiling_fails_work(width):
    model = Constant((368, 496))
    assert TiledFlow(model, tiles_per_batch=3)(*pair(368, width)).shape == (368, width, 2)
    with pytest.raises(ValueError, match="'even' fits every size"):
        TiledFlow(model, grid="released")(*pair(368, width))


def test_one_tile_is_a_plain_call(backbone):
    first, second = pair(11, 13)
    frames = pair_of(first, second)[None]
    plain = 20 * array(backbone({"frames": frames})["flow"])[0]
    for grid in ("even", "released"):
        flow = TiledFlow(backbone, overlap_px=3, grid=grid)(first, second)
        np.testing.assert_allclose(flow, plain, atol=1e-5 * np.abs(plain).max())


def test_more_tiles_at_a_time_change_nothing(backbone):
    given = pair(17, 29)
    one, several = (TiledFlow(backbone, overlap_px=3, tiles_per_batch=count)(*given) for count in (1, 4))
    np.testing.assert_allclose(several, one, atol=1e-5 * np.abs(one).max())
    assert np.abs(one).max() > 0.01


def test_a_small_picture_is_filled_up_with_its_last_row_and_column(backbone):
    first, second = pair(7, 10)
    filled = [np.pad(x, ((0, 4), (0, 3), (0, 0)), mode="edge") for x in (first, second)]
    tiled = TiledFlow(backbone, overlap_px=3)
    np.testing.assert_array_equal(tiled(first, second), tiled(*filled)[:7, :10])


def test_a_float_picture_is_that_of_its_bytes(backbone):
    first, second = pair(11, 13)
    np.testing.assert_allclose(pair_of(first, second)[0], first / 127.5 - 1, atol=1e-6)
    floats = pair_of(first, second)
    np.testing.assert_array_equal(pair_of(*floats), floats)


@pytest.mark.parametrize(
    "first, second, message",
    [
        (picture(5, 7), picture(5, 8), r"of one size and dtype.*uint8 \(5, 7, 3\) and uint8 \(5, 8, 3\)"),
        (picture(5, 7), picture(5, 7) / 255, "uint8 .* and float64"),
        (picture(5, 7)[..., 0], picture(5, 7)[..., 0], r"Received: uint8 \(5, 7\)"),
        (np.zeros((5, 7, 4), "uint8"), np.zeros((5, 7, 4), "uint8"), r"Received: uint8 \(5, 7, 4\)"),
        (np.full((5, 7, 3), np.nan), np.zeros((5, 7, 3)), r"float in \[-1, 1\]. Received: float64 in \[nan"),
        (np.full((5, 7, 3), 1.5), np.zeros((5, 7, 3)), r"Received: float64 in \[0.0, 1.5\]"),
        (np.zeros((5, 7, 3), int), np.zeros((5, 7, 3), int), "Received: int64"),
        (np.zeros((0, 7, 3), "uint8"), np.zeros((0, 7, 3), "uint8"), "must have pixels"),
    ],
)
def test_frames_that_are_none_are_refused(first, second, message):
    with pytest.raises(ValueError, match=message):
        pair_of(first, second)


def test_an_overlap_that_cannot_be_is_refused_before_a_picture_comes(backbone):
    with pytest.raises(ValueError, match="overlap=20, tile=11"):
        TiledFlow(backbone, overlap_px=20)
    assert TiledFlow(backbone).overlap_px == 5  # half a side where the published 20 px are more


@pytest.mark.parametrize("count", [0, -1])
@pytest.mark.parametrize("bound", [None, 100])
def test_a_batch_of_no_tiles_is_refused_before_a_picture_comes(count, bound):
    with pytest.raises(ValueError, match=f"must be positive or None. Received: tiles_per_batch={count}"):
        TiledFlow(Constant((11, 13)), tiles_per_batch=count, max_megabytes=bound)


# === Memory ===


def test_a_bound_of_memory_is_kept_by_smaller_chunks_then_used_by_more_tiles():
    model = without_numbers(PerceiverIOBackbone.from_variant, "optical_flow")
    tile, whole = (368, 496), Chunks()
    least = megabytes(model, tile, Chunks(1, 512, 512))
    seen = []
    for bound in np.linspace(least, 9 * megabytes(model, tile, whole), 60):
        chunks = chunks_within(bound, model, tile)
        assert megabytes(model, tile, chunks) <= bound
        assert chunks.tiles == 1 or chunks.key_chunk is None
        seen.append((chunks.tiles, chunks.key_chunk or 10**6))
    assert seen == sorted(seen) and seen[0] == (1, 512) and seen[-1] == (8, 10**6)
    assert chunks_within(least * 3, model, tile, tiles=3) == Chunks(3, 512, 512)
    with pytest.raises(
        ValueError, match=r"must be at least \d+ for 1 tiles of 368 x 496 px.*max_megabytes=9"
    ):
        chunks_within(9, model, tile)


def test_a_bound_of_memory_sets_the_chunks_and_changes_no_number(monkeypatch):
    from zorro_keras.applications.optical_flow import memory

    monkeypatch.setattr(memory, "SMALLEST_CHUNK", 16)
    model = PerceiverIOBackbone.from_variant("optical_flow", **SIZES)
    kernel = model.decoder.output_dense.kernel
    kernel.assign(np.random.default_rng(3).normal(size=kernel.shape))
    given = pair(17, 19)
    free = TiledFlow(model, overlap_px=3)(*given)
    bound = megabytes(model, (11, 13), Chunks(1, 64, 64))
    tiled = TiledFlow(model, overlap_px=3, max_megabytes=bound)
    assert tiled.chunks == Chunks(1, 64, 64)
    assert model.encoder.cross_attention.attention.key_chunk == model.decoder.query_chunk == 64
    np.testing.assert_allclose(tiled(*given), free, atol=1e-5 * np.abs(free).max())
