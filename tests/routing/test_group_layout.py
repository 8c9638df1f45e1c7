"""How groups are dealt out among streams, as pictures and as the published numbers."""

import numpy as np
import pytest

from zorro_keras.routing import GroupLayout


def test_a_layout_is_a_picture_of_chunks_that_end_in_padding():
    assert str(GroupLayout({"video": 7, "audio": 2}, num_groups=4)) == "\n".join(
        ["video ###", "video ###", "video #..", "audio ##."]
    )
    assert str(GroupLayout({"video": 7, "audio": 2}, num_groups=3)) == "\n".join(
        ["video ####", "video ###.", "audio ##.."]
    )


def test_a_group_may_be_nothing_but_padding():
    assert str(GroupLayout({"text": 5}, num_groups=4)) == "\n".join(
        ["text ##", "text ##", "text #.", "text .."]
    )


@pytest.mark.parametrize(
    "lengths, num_groups, groups, group_length",
    [
        # The AudioSet setup of HiP, arXiv 2202.10890: 8 frames of 224 x 224 and 2.56 s at 48 kHz.
        ({"video": 401_408, "audio": 122_880}, 256, {"video": 196, "audio": 60}, 2048),
        ({"video": 401_408, "audio": 122_880}, 16, {"video": 12, "audio": 4}, 33_451),
        # Zorro's tokens, arXiv 2301.09595, Figure 2.
        ({"video": 1568, "audio": 320}, 16, {"video": 13, "audio": 3}, 121),
        # The sets of the published tests.
        ({"image": 1024, "label": 32}, 16, {"image": 15, "label": 1}, 69),
    ],
)
def test_groups_are_dealt_out_as_in_the_published_code(lengths, num_groups, groups, group_length):
    layout = GroupLayout(lengths, num_groups)
    assert layout.groups == groups and layout.group_length == group_length
    assert layout.mask.shape == (num_groups, group_length)
    assert layout.mask.sum() == sum(lengths.values())


def test_the_first_stream_wins_a_tie_and_padding_is_what_is_left():
    layout = GroupLayout({"a": 6, "b": 6}, num_groups=3)
    assert layout.groups == {"a": 2, "b": 1}
    assert layout.padding == {"a": 6, "b": 0}
    assert np.array_equal(layout.mask[0], [True] * 6) and not layout.mask[1].any()


@pytest.mark.parametrize(
    "lengths, num_groups, message",
    [
        ({"a": 3, "b": 3}, 1, r"one for each stream at least. Received: num_groups=1 for \['a', 'b'\]"),
        ({}, 3, r"positive length. Received: lengths=\{\}"),
        ({"a": 0}, 3, r"positive length. Received: lengths=\{'a': 0\}"),
    ],
)
def test_layouts_that_cannot_be_are_refused(lengths, num_groups, message):
    with pytest.raises(ValueError, match=message):
        GroupLayout(lengths, num_groups)
