"""Rows of a batch: which positions of the order they stand at, and what of a whole batch is theirs."""

import dataclasses

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from zorro_keras.applications.pipelines.batch_rows import BatchPart, BatchRows, all_rows  # noqa: E402
from zorro_keras.applications.pipelines.faults import ConfigError  # noqa: E402


def positions(rows, start, count):
    return [int(position) for position in rows.positions(start).take(count).as_numpy_iterator()]


def test_the_parts_of_a_batch_have_its_rows_in_order():
    assert [BatchPart(index, 3).rows(6).numbers for index in range(3)] == [(0, 1), (2, 3), (4, 5)]
    assert BatchPart().rows(6).is_whole and not BatchPart(0, 2).rows(6).is_whole
    with pytest.raises(
        ConfigError, match="`training.batch_size` must be divisible by the hosts, 4. Received"
    ):
        BatchPart(0, 4).rows(6)


@pytest.mark.parametrize("first_position", [0, 3])
@pytest.mark.parametrize("numbers", [(0, 1), (1, 2, 4), (0, 1, 2, 3, 4)])
def test_positions_are_those_of_the_rows_from_any_start(numbers, first_position):
    rows = BatchRows(5, numbers, first_position)
    all_of_them = [at for at in range(first_position, 60) if (at - first_position) % 5 in numbers]
    for start in range(first_position, first_position + 6):
        expected = [at for at in all_of_them if at >= start][:7]
        assert positions(rows, start, 7) == expected


def test_what_a_row_is_made_of_and_what_it_makes():
    rows = BatchRows(6, (1, 2))
    assert rows.times(2) == BatchRows(12, (2, 3, 4, 5))
    assert rows.divided(2) == BatchRows(3, (0, 1))  # the rows 0 and 3 are made on the way
    assert rows.divided(2).times(2).only(rows, np.arange(4)).numpy().tolist() == [1, 2]


def test_partners_are_the_rows_before_around_the_end():
    whole, rows = np.arange(6), BatchRows(6, (0, 1, 3))
    read = rows.with_partners()
    assert read.numbers == (0, 1, 2, 3, 5)
    partners = read.only(rows, read.partners(read.of(whole)))
    assert partners.numpy().tolist() == [5, 0, 2]
    np.testing.assert_array_equal(all_rows(6).partners(whole), np.roll(whole, 1))
    np.testing.assert_array_equal(rows.of(tf.stack([whole, -whole]), axis=1), [[0, 1, 3], [0, -1, -3]])
    assert rows.partners(rows.of(whole)).numpy().tolist() == [0, 0, 3]  # itself, where it is not there
    assert dataclasses.replace(rows, first_position=4).with_partners().first_position == 4
