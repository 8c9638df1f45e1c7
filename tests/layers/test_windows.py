"""Windows on a grid: who may read whom, as pictures, and how far apart two tokens are."""

import itertools

import numpy as np
import pytest

from tests.backend import array
from zorro_keras.layers.patches import cut_patches, join_patches, pad_to_multiples
from zorro_keras.layers.windows import relative_position_index, visible_groups, window_layout


def pictures(layout, read_padding=False):
    """Returns a picture for each window: a row for each query, # where it may read."""
    queries, keys = visible_groups(layout, read_padding)
    if keys is None:
        return None
    seen = queries[:, :, None] == keys[:, None, :]
    return [" ".join("".join("#" if pair else "." for pair in row) for row in window) for window in seen]


def test_tokens_that_rolling_brought_together_do_not_read_each_other():
    assert pictures(window_layout((8,), (4,), True)) == [
        "#### #### #### ####",  # 2 3 4 5
        "##.. ##.. ..## ..##",  # 6 7 0 1
    ]


def test_in_two_axes_both_edges_part_the_window_at_the_corner():
    *_, corner = pictures(window_layout((4, 6), (2, 2), True))
    assert corner == "#... .#.. ..#. ...#"
    first, *_ = pictures(window_layout((4, 6), (2, 2), True))
    assert first == "#### #### #### ####"


def test_windows_that_are_not_shifted_hide_nothing():
    assert pictures(window_layout((8,), (4,), False)) is None


def test_what_fills_up_the_last_window_is_not_read_unless_asked_for():
    assert pictures(window_layout((6,), (4,), False)) == ["#### #### #### ####", "##.. ##.. ##.. ##.."]
    assert pictures(window_layout((6,), (4,), False), read_padding=True) is None
    shifted = window_layout((6,), (4,), True)  # 2 3 4 5, then two of filling and 0 1
    assert pictures(shifted)[1] == ".... .... ..## ..##"
    assert pictures(shifted, read_padding=True)[1] == "##.. ##.. ..## ..##"


@pytest.mark.parametrize(
    "grid, window, shift, counts",
    [
        ((16, 56, 56), (8, 7, 7), (4, 3, 3), (2, 8, 8)),
        ((4, 7, 7), (4, 7, 7), (0, 0, 0), (1, 1, 1)),  # 8 frames in patches of 2, last stage
        ((20, 4), (10, 4), (5, 0), (2, 1)),  # each axis by itself
        ((9, 15), (8, 7), (4, 3), (2, 3)),
    ],
)
def test_a_window_never_exceeds_an_axis_and_is_not_shifted_where_it_fills_it(grid, window, shift, counts):
    layout = window_layout(grid, (8, 7, 7) if len(grid) == 3 else (10, 8) if grid[0] == 20 else (8, 7), True)
    assert (layout.window, layout.shift, layout.counts) == (window, shift, counts)
    assert layout.real.sum() == np.prod(grid)


@pytest.mark.parametrize(
    "grid, share, touched", [((16, 56, 56), 0.34, 79), ((16, 14, 14), 0.57, 7), ((16, 7, 7), 0.25, 1)]
)
def test_so_many_pairs_are_hidden_in_the_shifted_blocks_of_video(grid, share, touched):
    groups, keys = visible_groups(window_layout(grid, (8, 7, 7), True), False)
    hidden = np.array([(window[:, None] != window[None]).mean() for window in groups])
    assert keys is not None and round(hidden.mean(), 2) == share
    assert (hidden > 0).sum() == touched


def index_by_hand(window, largest):
    """Returns the rows by their definition, pair by pair."""
    places = list(itertools.product(*map(range, window)))
    rows = np.zeros((len(places), len(places)), int)
    for query, key in itertools.product(range(len(places)), repeat=2):
        row = 0
        for at, other, size in zip(places[query], places[key], largest, strict=True):
            row = row * (2 * size - 1) + (at - other + size - 1)
        rows[query, key] = row
    return rows


@pytest.mark.parametrize("window", [(7, 7), (4, 8), (2, 4, 8), (5,), (3, 2, 5)])
def test_a_row_of_the_table_belongs_to_an_offset_whatever_the_window(window):
    rows = relative_position_index(window)
    np.testing.assert_array_equal(rows, index_by_hand(window, window))
    assert len(np.unique(rows)) == np.prod([2 * size - 1 for size in window]) == rows.max() + 1


def test_a_smaller_window_takes_the_rows_of_its_own_offsets():
    np.testing.assert_array_equal(
        relative_position_index((2, 4, 3), (5, 4, 7)), index_by_hand((2, 4, 3), (5, 4, 7))
    )


def test_fewer_frames_take_one_range_of_rows():
    rows = relative_position_index((4, 7, 7), (8, 7, 7))
    np.testing.assert_array_equal(rows - (8 - 4) * 169, relative_position_index((4, 7, 7)))


def test_the_first_tokens_of_a_large_window_are_right_for_fewer_frames_and_wrong_for_fewer_rows():
    large = relative_position_index((8, 7, 7))
    np.testing.assert_array_equal(large[:196, :196], relative_position_index((4, 7, 7), (8, 7, 7)))
    own = relative_position_index((8, 4, 4), (8, 7, 7))
    assert len(np.unique(own)) == 735 and len(np.unique(large[:128, :128])) == 783


@pytest.mark.parametrize("patch", [(3,), (3, 2), (1, 3, 2)])
def test_patches_join_to_the_array_that_they_were_cut_from(patch):
    shape = tuple(size * step for size, step in zip((2, 5, 7), patch, strict=False))
    x = np.random.default_rng(0).normal(size=(2, *shape, 11)).astype("float32")
    np.testing.assert_array_equal(array(join_patches(cut_patches(x, patch), patch)), x)


def test_a_grid_is_filled_up_with_zeros_at_its_end():
    x = np.ones((2, 5, 6, 3), "float32")
    filled = array(pad_to_multiples(x, (3, 2)))
    assert filled.shape == (2, 6, 6, 3)
    assert (filled[:, :5] == 1).all() and (filled[:, 5:] == 0).all()


def test_what_is_remembered_of_windows_cannot_be_changed():
    layout = window_layout((5, 7), (3, 2), True)
    for remembered in (layout.groups, layout.real, relative_position_index((3, 2))):
        with pytest.raises(ValueError, match="read-only"):
            remembered[0, 0] = 1
