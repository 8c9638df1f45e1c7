"""Groups of elements: joined, regrouped and split, on arrays that say where each element came from."""

import numpy as np
import pytest

from tests.backend import array
from zorro_keras.layers.groups import join_groups, regroup, split_groups
from zorro_keras.routing import GroupLayout

LAYOUT = GroupLayout({"video": 7, "audio": 2}, num_groups=4)
STREAMS = {
    "video": np.arange(1, 2 * 7 * 5 + 1, dtype="float32").reshape(2, 7, 5),
    "audio": -np.arange(1, 2 * 2 * 5 + 1, dtype="float32").reshape(2, 2, 5),
}


def test_groups_hold_contiguous_chunks_and_zeros_behind_them():
    groups = array(join_groups(STREAMS, LAYOUT))
    assert groups.shape == (2, 4, 3, 5)  # B G N C
    np.testing.assert_array_equal(groups[:, 1], STREAMS["video"][:, 3:6])
    np.testing.assert_array_equal(groups[:, 2, 0], STREAMS["video"][:, 6])
    np.testing.assert_array_equal(groups[:, 3, :2], STREAMS["audio"])
    np.testing.assert_array_equal((groups != 0).any(-1), [LAYOUT.mask] * 2)


def test_splitting_undoes_joining():
    for name, stream in split_groups(join_groups(STREAMS, LAYOUT), LAYOUT).items():
        np.testing.assert_array_equal(array(stream), STREAMS[name])


def test_the_padding_of_a_mask_is_what_it_is_told_to_be():
    masks = {name: np.ones((*x.shape[:2], 1), "int32") for name, x in STREAMS.items()}
    np.testing.assert_array_equal(array(join_groups(masks, LAYOUT, fill=0))[0, ..., 0], LAYOUT.mask)
    assert array(join_groups(masks, LAYOUT, fill=1)).all()


@pytest.mark.parametrize(
    "regrouping, num_groups, picture",
    [
        ("reshape", 2, ["a1 a2 a3 b1 b2 b3", "c1 c2 c3 d1 d2 d3"]),
        ("reshape", 6, ["a1 a2", "a3 b1", "b2 b3", "c1 c2", "c3 d1", "d2 d3"]),
        ("transpose_reshape", 2, ["a1 b1 c1 d1 a2 b2", "c2 d2 a3 b3 c3 d3"]),
        ("transpose_reshape", 3, ["a1 b1 c1 d1", "a2 b2 c2 d2", "a3 b3 c3 d3"]),
    ],
)
def test_regrouping_is_a_picture_of_who_comes_to_sit_with_whom(regrouping, num_groups, picture):
    names = [[f"{group}{place}" for place in (1, 2, 3)] for group in "abcd"]
    seats = np.arange(4 * 3, dtype="float32").reshape(1, 4, 3, 1)
    regrouped = array(regroup(seats, num_groups, regrouping))[0, ..., 0].astype(int)
    assert [" ".join(np.ravel(names)[row]) for row in regrouped] == picture


def test_elements_that_cannot_be_dealt_out_evenly_are_refused():
    with pytest.raises(ValueError, match="divide the 4 groups of 3. Received: num_groups=5"):
        regroup(np.zeros((1, 4, 3, 1)), 5)
    with pytest.raises(ValueError, match="`regrouping` must be one of .* Received: regrouping='mix'"):
        regroup(np.zeros((1, 4, 3, 1)), 2, "mix")
