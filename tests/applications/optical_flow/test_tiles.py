"""Tiles cover every picture, and what they say is blended as published."""

import numpy as np
import pytest
from hypothesis import given, strategies

from zorro_keras.applications.optical_flow.tiles import (
    batches_of,
    blend,
    tile_places,
    tile_starts,
    tile_weights,
)

PUBLISHED = (368, 496)


@given(strategies.integers(0, 3000), strategies.integers(1, 600), strategies.data())
def test_even_tiles_cover_all_with_at_least_the_overlap_and_no_tile_too_many(more, tile, data):
    overlap = data.draw(strategies.integers(0, tile - 1))
    size = tile + more
    starts = tile_starts(size, tile, overlap)
    assert starts[0] == 0 and starts[-1] == size - tile
    steps = np.diff(starts)
    assert (steps > 0).all() and (steps <= tile - overlap).all()
    assert len(steps) == 0 or steps.max() - steps.min() <= 1
    assert len(starts) == -(-more // (tile - overlap)) + 1


def test_the_released_grid_is_that_of_the_published_notebook():
    assert tile_starts(436, 368, 20, "released") == [0, 68]
    assert tile_starts(1024, 496, 20, "released") == [0, 476, 528]
    assert len(tile_places((436, 1024), PUBLISHED, 20, "released")) == 6  # Sintel
    assert len(tile_places((375, 1242), PUBLISHED, 20, "released")) == 6  # KITTI
    assert tile_starts(368, 368, 20, "released") == [0]
    # The paper speaks of six evenly spaced tiles.
    assert tile_starts(1024, 496, 20) == [0, 264, 528]


@pytest.mark.parametrize("size", [1905, 1920, 1923])
def test_the_released_grid_does_not_exist_at_some_sizes(size):
    with pytest.raises(ValueError, match=f"beyond a picture of {size} pixels; 'even' fits every size"):
        tile_starts(size, 496, 20, "released")
    assert len(tile_starts(size, 496, 20)) == 4


def test_the_released_grid_exists_on_either_side_of_those_sizes():
    for size, tile in ((1904, 496), (1924, 496), (696, 368), (716, 368)):
        starts = tile_starts(size, tile, 20, "released")
        covered = np.zeros(size, bool)
        for start in starts:
            covered[start : start + tile] = True
        assert covered.all() and starts[-1] == size - tile
    for size in range(697, 716):
        with pytest.raises(ValueError, match="beyond a picture"):
            tile_starts(size, 368, 20, "released")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((11, 7, 7), r"`overlap` must lie in \[0, tile\).*Received: overlap=7, tile=7, size=11"),
        ((11, 7, -1), "overlap=-1"),
        ((5, 7, 2), "`tile` must not exceed `size`.*tile=7, size=5"),
        ((11, 7, 2, "odd"), r"`grid` must be one of \['even', 'released'\]. Received: 'odd'"),
    ],
)
def test_tiles_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        tile_starts(*arguments)


def test_a_weight_is_the_distance_to_the_nearest_border():
    picture = "\n".join("".join(map(str, row)) for row in tile_weights((5, 7)).astype(int))
    assert picture == "1111111\n1222221\n1233321\n1222221\n1111111"
    assert tile_weights(PUBLISHED).max() == 184


def test_blending_is_the_weighted_mean_written_out():
    rng = np.random.default_rng(0)
    places = tile_places((11, 13), (7, 5), 2)
    tiles = [(place, rng.normal(size=(7, 5, 2))) for place in places]
    total, sums = np.zeros((11, 13)), np.zeros((11, 13, 2))
    for (rows, columns), values in tiles:
        for y, x in np.ndindex(7, 5):
            weight = min(y + 1, 7 - y, x + 1, 5 - x)
            total[rows.start + y, columns.start + x] += weight
            sums[rows.start + y, columns.start + x] += weight * values[y, x]
    np.testing.assert_allclose(blend((11, 13), tiles), sums / total[..., None], rtol=1e-6)


@given(strategies.integers(7, 60), strategies.integers(5, 60))
def test_tiles_of_one_constant_blend_to_it(height, width):
    places = tile_places((height, width), (7, 5), 2)
    constant = np.float32([1.7, -0.3])
    blended = blend((height, width), ((place, np.broadcast_to(constant, (7, 5, 2))) for place in places))
    np.testing.assert_allclose(blended, np.broadcast_to(constant, (height, width, 2)), rtol=1e-6)


def test_places_come_in_batches_and_none_twice():
    places = tile_places((19, 23), (7, 5), 2)
    batches = list(batches_of(places, 4))
    assert sum(batches, []) == places and {len(batch) for batch in batches[:-1]} == {4}
