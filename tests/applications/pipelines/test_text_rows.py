"""Rows of any format, each with the place it stands at; rows that do not fit come as errors."""

import csv
import json
import sys

import pytest

from zorro_keras.applications.pipelines.faults import ConfigError, SourceError
from zorro_keras.applications.pipelines.text_rows import is_text, read_rows


def write(path, text):
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_tsv_takes_quotation_marks_and_other_separators_as_letters(tmp_path):
    text = 'Text\tLabel\r\n"open\tyes\r\nline\u2028sep\x85 "x"\tno\n\nlast\tyes'
    path = write(tmp_path / "a.tsv", "\ufeff" + text)
    assert list(read_rows(path)) == [
        ("a.tsv line 2", {"text": '"open', "label": "yes"}),
        ("a.tsv line 3", {"text": 'line\u2028sep\x85 "x"', "label": "no"}),
        ("a.tsv line 5", {"text": "last", "label": "yes"}),
    ]


def test_a_csv_has_quoted_cells_that_may_hold_commas_and_lines(tmp_path):
    path = write(tmp_path / "a.csv", 'text,label\n"one, ""two""\nthree",yes\nfour,no\n')
    assert list(read_rows(path)) == [
        ("a.csv line 2", {"text": 'one, "two"\nthree', "label": "yes"}),
        ("a.csv line 4", {"text": "four", "label": "no"}),
    ]


def test_a_csv_may_have_cells_longer_than_the_module_csv_allows_by_default(tmp_path):
    before = csv.field_size_limit(131_072)
    long = "a word, " * 20_000
    path = write(tmp_path / "a.csv", f'text,label\n"{long}",yes\nfour,no\n')
    try:
        assert [cells["text"] for _, cells in read_rows(path)] == [long, "four"]
    finally:
        csv.field_size_limit(before)


def test_json_lines_are_objects(tmp_path):
    rows = [{"Text": "a", "label": 1}, ["a"], {"text": "b"}]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)) + "\nno json\n")
    (place, _), *others = read_rows(path)
    second, third, fourth = (row for _, row in others)
    assert place == "a.jsonl line 1" and third == {"text": "b"}
    assert second.row == "a.jsonl line 2" and "must be a JSON object. Received: list" in second.message
    assert fourth.row == "a.jsonl line 4" and fourth.reason == "bad_row"


def test_a_row_that_does_not_fit_the_header_is_an_error_in_its_place(tmp_path):
    path = write(tmp_path / "a.tsv", "text\tlabel\nalone\nfine\tyes\na\tb\tc\n")
    (_, short), (_, fine), (_, long) = read_rows(path, "SST-2/a.tsv")
    assert fine == {"text": "fine", "label": "yes"}
    assert (short.row, long.row) == ("SST-2/a.tsv line 2", "SST-2/a.tsv line 4")
    assert "must have 2 cells. Received: 1" in short.message


def test_a_broken_quotation_is_an_error_in_its_place(tmp_path):
    path = write(tmp_path / "a.csv", 'text,label\n"a"b,yes\n')
    ((place, problem),) = read_rows(path)
    assert isinstance(problem, SourceError) and place == "a.csv line 2"


def test_a_file_without_a_header_gets_the_one_it_is_known_to_have(tmp_path):
    header = [("source", "label", "star", "sentence")]
    bare = write(tmp_path / "a.tsv", "gj04\t1\t\tOne.\n")
    assert list(read_rows(bare, headers=header)) == [
        ("a.tsv line 1", {"source": "gj04", "label": "1", "star": "", "sentence": "One."})
    ]
    named = write(tmp_path / "b.tsv", "index\tsentence\n0\tOne.\n")
    assert list(read_rows(named, headers=header)) == [("b.tsv line 2", {"index": "0", "sentence": "One."})]


def test_bytes_that_are_not_utf8_can_be_told(tmp_path):
    path = write(tmp_path / "a.tsv", b"text\n\xff\xfe\nfine\n")
    (_, bad), (_, fine) = read_rows(path)
    assert not is_text(bad["text"]) and is_text(fine["text"])


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SourceError, match="cannot be read: No such file"):
        list(read_rows(tmp_path / "a.tsv"))


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match="pip install pyarrow"):
        list(read_rows(write(tmp_path / "a.parquet", b"PAR1")))


def test_parquet_rows_come_with_their_number(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"Text": ["a", "b"], "label": [0, 1]}), tmp_path / "a.parquet")
    assert list(read_rows(tmp_path / "a.parquet")) == [
        ("a.parquet row 0", {"text": "a", "label": 0}),
        ("a.parquet row 1", {"text": "b", "label": 1}),
    ]
    with pytest.raises(SourceError, match="The parquet file cannot be read"):
        list(read_rows(write(tmp_path / "b.parquet", b"no parquet")))
