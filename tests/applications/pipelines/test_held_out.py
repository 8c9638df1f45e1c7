import hashlib

import pytest

from zorro_keras.applications.pipelines.held_out import held_out, is_held_out


def digests(count):
    return {number: hashlib.sha256(f"clip {number}".encode()).digest() for number in range(count)}


def test_about_the_share_is_held_out():
    assert len(held_out(digests(5000), 0.1)) == pytest.approx(500, abs=60)


def test_a_name_keeps_its_side_when_others_come_or_go():
    few, more = held_out(digests(200), 0.2), held_out(digests(1000), 0.2)
    assert few == {name for name in more if name < 200} and 0 < len(few) < len(more)


@pytest.mark.parametrize(
    ("count", "fraction", "expected"), [(0, 0.5, 0), (1, 0.9, 0), (2, 1e-9, 1), (3, 1 - 1e-9, 2)]
)
def test_of_several_one_is_held_out_and_one_is_not(count, fraction, expected):
    assert len(held_out(digests(count), fraction)) == expected


def test_a_small_share_of_a_class_that_grew_from_two_names_holds_nothing_that_was_trained_on():
    """Not even where it was so small that its one held-out name was chosen as the first of all."""
    for start in range(1, 60):
        for end in range(start, 60):
            trained = set(digests(start)) - held_out(digests(start), 0.05)
            new_test = held_out(digests(end), 0.05)
            assert start == 1 or not trained & new_test


def test_nothing_or_everything_may_be_held_out():
    assert held_out(digests(3), 0.0) == set() and held_out(digests(3), 1.0) == {0, 1, 2}


def test_the_share_is_of_all_digests():
    assert is_held_out(bytes([127]) + bytes(7), 0.5) and not is_held_out(bytes([128]) + bytes(7), 0.5)
