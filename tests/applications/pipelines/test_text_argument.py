"""What a command is asked about: a text, a file of any kind, or a folder."""

import gzip
import json

import pytest

from zorro_keras.applications.pipelines.faults import ConfigError, SourceError
from zorro_keras.applications.pipelines.text_argument import texts_of_argument

PAIRS = {"columns": ("text", "text2"), "separators": ("\t", " ||| ")}
FILES = {
    "a.txt": "one\n\ntwo\n",
    "a.csv": 'label,text\nx,one\ny,"two"\n',
    "a.tsv": "text\tlabel\none\tx\ntwo\ty\n",
    "a.jsonl": '{"text": "one"}\n{"text": "two", "id": 3}\n',
    "a.json": '{"text": "one"}\n{"text": "two"}\n',
    "notes": "one\ntwo\n",
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_gives_the_same_texts(tmp_path, name, packed):
    path = tmp_path / (f"{name}.gz" if packed else name)
    content = FILES[name].encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    assert texts_of_argument(str(path)) == [("one",), ("two",)]


def test_no_text_is_not_the_folder_one_is_in(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("one")
    monkeypatch.chdir(tmp_path)
    for nothing in ("", " "):
        with pytest.raises(ConfigError, match="There is no text."):
            texts_of_argument(nothing)
    assert texts_of_argument(".") == [("one",)]


def test_a_folder_gives_the_texts_of_all_its_files(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "z.txt").write_text("three")
    (tmp_path / ".hidden.txt").write_text("no")
    found = texts_of_argument(tmp_path)
    assert found == [("one",), ("two",)] * 5 + [("three",)]  # `notes` says nothing of what it is


def test_what_is_no_file_is_the_text_itself():
    assert texts_of_argument("a cat. [MASK]") == [("a cat. [MASK]",)]
    assert texts_of_argument("x" * 5000) == [("x" * 5000,)]
    assert texts_of_argument("a\0b") == [("a\0b",)]
    assert texts_of_argument("a ||| b") == [("a ||| b",)]


def test_a_pair_is_two_columns_or_a_line_with_a_separator(tmp_path):
    assert texts_of_argument("a ||| b", **PAIRS) == [("a", "b")]
    assert texts_of_argument("a\tb ||| c", **PAIRS) == [("a", "b ||| c")]
    rows = [{"text": "a", "text2": "b"}, {"text": "c ||| d"}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert texts_of_argument(tmp_path / "a.jsonl", **PAIRS) == [("a", "b"), ("c ||| d",)]
    assert texts_of_argument(tmp_path / "a.jsonl") == [("a",), ("c ||| d",)]


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        texts_of_argument("absent.csv")
    with pytest.raises(ConfigError, match="There is no text"):
        texts_of_argument(" ")
    (tmp_path / "a.csv").write_text("words\none\n")
    with pytest.raises(SourceError, match="A column `text` is needed"):
        texts_of_argument(tmp_path / "a.csv")
    (tmp_path / "b.txt").write_bytes(b"fine\n\xff\n")
    with pytest.raises(SourceError, match="not UTF-8"):
        texts_of_argument(tmp_path / "b.txt")
    (tmp_path / "c.txt.gz").write_bytes(gzip.compress(b"some text" * 50)[:-9])
    with pytest.raises(SourceError, match="corrupt"):
        texts_of_argument(tmp_path / "c.txt.gz")
