"""Labelled text of one's own: class folders and tables, with or without splits, and all that can be wrong."""

import gzip
import json

import numpy as np
import pytest

from zorro_keras.applications.pipelines.faults import ConfigError, SourceError
from zorro_keras.applications.text_classification.labelled_text import read_labelled_text


def class_folders(root, names=("bad", "good"), count=10, split=""):
    for name in names:
        folder = root / split / name
        folder.mkdir(parents=True)
        for number in range(count):
            (folder / f"{number}.txt").write_text(f"{split} {name} text\nnumber {number}", encoding="utf-8")


def table(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def parts(data):
    return {part.split: part for part in data.sets}


def test_class_folders_name_the_labels_and_a_tenth_of_each_is_held_out(tmp_path):
    class_folders(tmp_path, count=20)
    data = read_labelled_text(tmp_path)
    assert data.label_names == ("text/bad", "text/good")
    found = parts(data)
    counts = {split: np.bincount(part.labels) for split, part in found.items()}
    assert (counts["train"] + counts["test"]).tolist() == [20, 20]
    assert min(counts["test"]) > 0 and max(counts["test"]) < 8
    for part in found.values():
        for place, label, (text,) in zip(part.ids, part.labels, part.texts, strict=True):
            name, number = ("bad", "good")[label], place.split("/")[1].removesuffix(".txt")
            assert (place, text) == (f"{name}/{number}.txt", f" {name} text\nnumber {number}")


def test_split_folders_are_kept(tmp_path):
    for split in ("train", "val", "test"):
        class_folders(tmp_path, count=3, split=split)
    data = read_labelled_text(tmp_path)
    assert {split: len(part) for split, part in parts(data).items()} == {"train": 6, "val": 6, "test": 6}
    assert all(text[0].startswith("val ") for text in parts(data)["val"].texts)
    assert [part.split for part in data.validation()] == ["val"]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_tables_hold_text_label_and_split(tmp_path, suffix):
    rows = [
        ("It rains.", "no", "train"),
        ("Sun!", "yes", "train"),
        ("Wind", "yes", "dev"),
        ("Fog", "", "test"),
    ]
    columns = ("text", "label", "split")
    if suffix == ".jsonl":
        lines = [json.dumps(dict(zip(columns, row, strict=True))) for row in rows]
    else:
        separator = "," if suffix == ".csv" else "\t"
        lines = [separator.join(row) for row in (columns, *rows)]
    data = read_labelled_text(table(tmp_path / f"mine{suffix}", lines))
    found = parts(data)
    assert data.label_names == ("text/no", "text/yes") and not data.problems
    assert (found["train"].texts, found["train"].labels.tolist()) == ((("It rains.",), ("Sun!",)), [0, 1])
    assert found["val"].labels.tolist() == [1]
    assert found["test"].labels is None and found["test"].texts == (("Fog",),)


def test_a_folder_of_tables_takes_the_splits_from_their_names(tmp_path):
    table(tmp_path / "train.csv", ["text,label", "a,x", "b,y"])
    table(tmp_path / "validation.csv", ["text,label", "c,y"])
    table(tmp_path / "test.csv", ["text", "d"])
    found = parts(read_labelled_text(tmp_path))
    assert {split: len(part) for split, part in found.items()} == {"train": 2, "val": 1, "test": 1}
    assert found["test"].labels is None


def test_pairs_and_scores(tmp_path):
    path = table(tmp_path / "a.tsv", ["text\ttext2\tscore", *(f"a {n}\tb {n}\t{n / 4}" for n in range(8))])
    data = read_labelled_text(path, test_fraction=0.25)
    assert data.label_names == ("text/score",) and data.tasks[0].is_regression
    assert data.tasks[0].metrics == ("pearson", "spearman")
    train = parts(data)["train"]
    assert train.labels.dtype == np.float32 and len(train) == 6 and train.texts[0] == ("a 0", "b 0")


def test_equal_texts_never_stand_on_both_sides_of_a_split(tmp_path):
    lines = ["text,label", *(f"same {n % 7},{'x' if n % 2 else 'y'}" for n in range(70))]
    found = parts(read_labelled_text(table(tmp_path / "a.csv", lines), test_fraction=0.3))
    assert len(found["train"]) + len(found["test"]) == 70
    assert not set(found["train"].texts) & set(found["test"].texts)


def test_the_split_does_not_depend_on_the_order_of_the_rows(tmp_path):
    rows = [f"text {n},{n % 2}" for n in range(40)]
    one = read_labelled_text(table(tmp_path / "a.csv", ["text,label", *rows]))
    other = read_labelled_text(table(tmp_path / "b.csv", ["text,label", *rows[::-1]]))
    assert set(parts(one)["test"].texts) == set(parts(other)["test"].texts)


def test_bad_rows_are_collected_with_file_and_line(tmp_path):
    lines = ["text,label,split", "a,x,train", "b,y,train", ",x,train", "c,,train", "d,x,later", "e"]
    data = read_labelled_text(table(tmp_path / "a.csv", lines))
    assert [(problem.row, problem.reason) for problem in data.problems] == [
        ("a.csv line 4", "bad_row"),
        ("a.csv line 5", "bad_label"),
        ("a.csv line 6", "bad_split"),
        ("a.csv line 7", "bad_row"),
    ]
    assert data.num_train == 2


def test_a_half_labelled_test_split_is_a_fault_of_the_rows_without_label(tmp_path):
    lines = ["text,label,split", "a,x,train", "b,y,train", "c,x,test", "d,,test"]
    data = read_labelled_text(table(tmp_path / "a.csv", lines))
    assert [problem.row for problem in data.problems] == ["a.csv line 5"]


def test_a_row_without_a_split_is_a_fault_where_others_have_one(tmp_path):
    rows = [
        {"text": "a", "label": "x", "split": "train"},
        {"text": "b", "label": "y", "split": "train"},
        {"text": "c", "label": "x"},
        {"text": "d", "label": "y", "split": None},
    ]
    path = table(tmp_path / "a.jsonl", map(json.dumps, rows))
    data = read_labelled_text(path)
    assert [(problem.row, problem.reason) for problem in data.problems] == [
        ("a.jsonl line 3", "bad_split"),
        ("a.jsonl line 4", "bad_split"),
    ]
    assert data.num_train == 2
    for row in rows:
        row.pop("split", None)
    whole = read_labelled_text(table(tmp_path / "b.jsonl", map(json.dumps, rows)))
    assert not whole.problems and sum(map(len, whole.sets)) == 4  # without any splits they are dealt


def test_text_files_directly_in_a_split_folder_have_no_label(tmp_path):
    class_folders(tmp_path, count=2, split="train")
    (tmp_path / "train" / "loose.txt").write_text("loose")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "loose.txt").write_text("loose")
    (tmp_path / "train" / "test").mkdir()
    (tmp_path / "train" / "test" / "odd.txt").write_text("odd")
    data = read_labelled_text(tmp_path)
    assert data.label_names == ("text/bad", "text/good") and data.num_train == 4
    assert sorted((problem.row, problem.reason) for problem in data.problems) == [
        ("dev/loose.txt", "bad_label"),
        ("train/loose.txt", "bad_label"),
        ("train/test/odd.txt", "bad_label"),
    ]


def test_every_row_of_a_source_is_accounted_for_exactly_once(tmp_path):
    table(tmp_path / "train.csv", ["text,label", "a,x", "b,y", ",x", "c,", "d", "e,x"])
    table(tmp_path / "later.csv", ["text,label", "f,x"])
    table(tmp_path / "test.csv", ["text,label", "g,z", "h,"])
    class_folders(tmp_path, names=("x",), count=1)
    data = read_labelled_text(tmp_path)
    used = [place for part in data.sets for place in part.ids]
    bad = [problem.row for problem in data.problems]
    expected = [f"train.csv line {line}" for line in range(2, 8)]
    expected += ["later.csv line 2", "test.csv line 2", "test.csv line 3", "x/0.txt"]
    assert sorted(used + bad) == sorted(expected)
    for part in data.sets:
        assert len(part.numbers) == len(part) <= part.num_rows


def test_a_packed_table_is_read(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"text,label,split\na,x,train\nb,y,train\n"))
    assert read_labelled_text(tmp_path / "a.csv.gz").num_train == 2


def test_files_outside_of_class_folders_and_bytes_that_are_not_utf8_are_named(tmp_path):
    class_folders(tmp_path, count=2)
    (tmp_path / "stray.txt").write_text("stray")
    (tmp_path / "bad" / "z.txt").write_bytes(b"\xff\xfe")
    data = read_labelled_text(tmp_path)
    assert sorted((problem.row, problem.reason) for problem in data.problems) == [
        ("bad/z.txt", "bad_encoding"),
        ("stray.txt", "bad_label"),
    ]


def test_a_trained_model_keeps_its_labels_in_their_order(tmp_path):
    path = table(tmp_path / "a.csv", ["text,label,split", "a,x,test", "b,z,test", "c,y,test"])
    data = read_labelled_text(path, ("text/z", "text/x"))
    assert parts(data)["test"].labels.tolist() == [1, 0]
    assert [(problem.row, problem.reason) for problem in data.problems] == [("a.csv line 4", "bad_label")]
    with pytest.raises(ConfigError, match=r"The model answers \['RTE'\]"):
        read_labelled_text(path, ("RTE/entailment", "RTE/not_entailment"))


def test_what_cannot_be_data_is_refused(tmp_path):
    with pytest.raises(SourceError, match="There are no labelled texts"):
        read_labelled_text(tmp_path)
    with pytest.raises(SourceError, match="`text` and `label` or `score` are needed"):
        read_labelled_text(table(tmp_path / "a.csv", ["words,label", "a,x"]))
    with pytest.raises(SourceError, match=r"At least two labels are needed. Received: \['x'\]"):
        read_labelled_text(table(tmp_path / "b.csv", ["text,label", "a,x", "b,x"]))
