import itertools
from collections import Counter

import numpy as np
import pytest

from zorro_keras.applications.masked_language import rows as rows_module
from zorro_keras.applications.masked_language.rows import TextRows
from zorro_keras.applications.pipelines.text_readers import TextFiles
from zorro_keras.applications.pipelines.text_tokens import Bytes


@pytest.fixture
def texts(tmp_path):
    """Three files with 7, 4 and 2 texts: `a0` to `a6`, `b0` to `b3`, `c0` and `c1`."""
    for name, count in (("a", 7), ("b", 4), ("c", 2)):
        (tmp_path / f"{name}.txt").write_text("\n\n".join(f"{name}{number}" for number in range(count)))
    return TextFiles(tmp_path)


def read(rows, count):
    return [Bytes().decode(row) for row in itertools.islice(rows, count)]


def test_a_pass_holds_every_joined_text_once(texts):
    rows = TextRows(texts, Bytes(), 50, "train", texts_per_row=3)
    assert rows.num_rows == 3 + 2 + 1
    expected = ["a0\na1\na2", "a3\na4\na5", "a6", "b0\nb1\nb2", "b3", "c0\nc1"]
    passes = read(rows.shuffled(0), 24)
    assert [sorted(passes[start : start + 6]) for start in (0, 6, 12, 18)] == [sorted(expected)] * 4
    assert len({tuple(passes[start : start + 6]) for start in (0, 6, 12, 18)}) > 1
    assert read(rows.shuffled(1), 24) != passes


@pytest.mark.parametrize("block", [1, 4, 4096])
@pytest.mark.parametrize("length", [4, 50])
def test_reading_may_start_at_any_position(texts, monkeypatch, block, length):
    monkeypatch.setattr(rows_module, "BLOCK_ROWS", block)
    rows = TextRows(texts, Bytes(), length, "train", texts_per_row=3)
    whole = read(rows.shuffled(5), 20)
    for start in range(14):
        assert read(rows.shuffled(5, start), 6) == whole[start : start + 6]


def test_a_crop_starts_anywhere_and_anew_in_each_pass(tmp_path):
    (tmp_path / "a.txt").write_text("abcdefgh")
    rows = TextRows(TextFiles(tmp_path), Bytes(), 6, "train", texts_per_row=1)
    found = Counter(read(rows.shuffled(0), 300))
    assert sorted(found) == ["abcdef", "bcdefg", "cdefgh"] and min(found.values()) > 60


def test_evaluation_sees_all_of_a_text(tmp_path):
    (tmp_path / "a.txt").write_text("abcdefgh\n\nij")
    rows = TextRows(TextFiles(tmp_path), Bytes(), 5, "train", texts_per_row=1)
    assert [Bytes().decode(row) for row in rows.in_order()] == ["abcde", "fgh", "ij"]
    assert all(row.dtype == np.int32 for row in rows.in_order())
