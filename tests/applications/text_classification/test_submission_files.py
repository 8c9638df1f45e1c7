"""Answers as GLUE's server takes them: its names, its words, and every row of the test files."""

import numpy as np
import pytest

from zorro_keras.applications.text_classification import submission
from zorro_keras.applications.text_classification.glue_tasks import GLUE_TASKS
from zorro_keras.applications.text_classification.text_sets import TextSet, TextTask

# The files of the server's sample submission, and the words in them: gluebenchmark.com.
WORDS = {
    "CoLA": {"0", "1"},
    "SST-2": {"0", "1"},
    "MRPC": {"0", "1"},
    "QQP": {"0", "1"},
    "MNLI-m": {"entailment", "neutral", "contradiction"},
    "MNLI-mm": {"entailment", "neutral", "contradiction"},
    "QNLI": {"entailment", "not_entailment"},
    "RTE": {"entailment", "not_entailment"},
    "WNLI": {"0", "1"},
    "AX": {"entailment", "neutral", "contradiction"},
}
SETS = {"MNLI-m": ("MNLI", "test"), "MNLI-mm": ("MNLI mismatched", "test_mismatched")}


def set_of(name, split="test", task=None, numbers=(0, 1, 2), num_rows=3, labels=None):
    texts = tuple((f"text {number}",) for number in numbers)
    ids = tuple(f"{name}/test.tsv line {number + 2}" for number in numbers)
    return TextSet(task or name.split(" ")[0], name, split, texts, labels, ids, tuple(numbers), num_rows)


def task_of(part):
    return TextTask(part.task, GLUE_TASKS[part.task].label_names)


def rows(text):
    return [line.split("\t") for line in text.splitlines()]


@pytest.mark.parametrize("file", WORDS)
def test_every_task_has_the_name_and_the_words_of_the_server(file):
    name, split = SETS.get(file, (file, "test"))
    part = set_of(name, split, task="MNLI" if file == "AX" else None)
    num_classes = len(WORDS[file])
    answers = np.eye(num_classes, dtype="float32")[[0, 1, num_classes - 1]]
    assert submission.is_submitted(part) and submission.file_name(part) == f"{file}.tsv"
    header, *found = rows(submission.submission(part, task_of(part), answers))
    assert header == ["index", "prediction"] and [index for index, _ in found] == ["0", "1", "2"]
    assert {word for _, word in found} == WORDS[file]
    names = GLUE_TASKS[part.task].label_names  # the class of a parquet file's number is that of the word
    assert found[1][1] == ("1" if WORDS[file] == {"0", "1"} else names[1])


def test_scores_are_clipped_to_their_range():
    part = set_of("STS-B")
    found = rows(submission.submission(part, task_of(part), np.array([[-0.4], [2.5], [5.3]], "float32")))
    assert found == [["index", "prediction"], ["0", "0.000"], ["1", "2.500"], ["2", "5.000"]]
    assert submission.file_name(part) == "STS-B.tsv"


def test_rows_that_could_not_be_read_are_answered_too_so_that_the_index_has_no_gap():
    part = set_of("RTE", numbers=(1, 2, 5), num_rows=6)
    answers = np.array([[0.0, 1.0], [3.0, 1.0], [0.0, 2.0]])
    found = rows(submission.submission(part, task_of(part), answers))[1:]
    assert [index for index, _ in found] == list("012345")
    words = [word == "entailment" for _, word in found]
    assert words == [False, False, True, False, False, False]  # the gaps hold the most frequent answer
    part = set_of("STS-B", numbers=(0, 1, 3), num_rows=4)
    found = rows(submission.submission(part, task_of(part), np.array([[1.0], [2.0], [9.0]])))[1:]
    assert found == [["0", "1.000"], ["1", "2.000"], ["2", "2.000"], ["3", "5.000"]]
    empty = set_of("CoLA", numbers=(), num_rows=2)
    assert rows(submission.submission(empty, task_of(empty), np.zeros((0, 2))))[1:] == [
        ["0", "0"],
        ["1", "0"],
    ]


def test_glues_test_sets_are_answered_with_and_without_labels_and_others_only_without():
    labels = np.zeros(3, np.int32)
    assert submission.is_submitted(set_of("MRPC", labels=labels))
    assert not submission.is_submitted(set_of("MRPC", split="val", labels=labels))
    assert not submission.is_submitted(set_of("text", labels=labels))
    assert not submission.is_submitted(set_of("MRPC", numbers=(), num_rows=0))
    mine = set_of("text", numbers=(0, 2), num_rows=3)
    assert submission.is_submitted(mine) and submission.file_name(mine) == "text_test.tsv"
    task = TextTask("text", ("bad", "good"))
    found = rows(submission.submission(mine, task, np.array([[0.0, 1.0], [1.0, 0.0]])))
    assert found == [
        ["row", "prediction"],
        ["text/test.tsv line 2", "good"],
        ["text/test.tsv line 4", "bad"],
    ]
