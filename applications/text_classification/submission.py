"""Answers to sets without labels, as files: for GLUE's server in its words, for others with their rows."""

from __future__ import annotations

import numpy as np

from zorro_keras.applications.text_classification.glue_tasks import GLUE_TASKS, LARGEST_SCORE
from zorro_keras.applications.text_classification.text_sets import TextSet, TextTask

_MNLI = {"MNLI": "MNLI-m", "MNLI mismatched": "MNLI-mm"}


def is_submitted(part: TextSet) -> bool:
    """Whether a set's answers are written down: GLUE's test sets, and any set without labels."""
    is_test_of_glue = part.task in GLUE_TASKS and part.split.startswith("test")
    return part.num_rows > 0 and (part.labels is None or is_test_of_glue)


def file_name(part: TextSet) -> str:
    """The name of a set's file: the one that GLUE's server knows, or `TASK_SPLIT.tsv`."""
    if part.task in GLUE_TASKS:
        return f"{_MNLI.get(part.name, part.name)}.tsv"
    return f"{part.name}_{part.split}.tsv"


def submission(part: TextSet, task: TextTask, answers: np.ndarray) -> str:
    """Returns the file of a set's answers, as TSV with a header.

    For GLUE's server: `index`, of every row of the test file from 0 on, and `prediction`, a label as the
    official files write it or a score within [0, 5]. The server wants every row, so one that could not be
    read gets the most frequent answer, or the median score. For other texts: `row`, where the text stands,
    and `prediction`.

    Args:
        part: the set.
        task: its task.
        answers: `(N, K)` logits, or `(N, 1)` numbers.
    """
    if part.task not in GLUE_TASKS:
        cells = _cells(answers, task.label_names)
        return _lines("row", zip(part.ids, cells, strict=True))
    words = GLUE_TASKS[part.task].written or task.label_names
    if task.is_regression:
        answers = np.clip(answers, 0.0, LARGEST_SCORE)
    given = dict(zip(part.numbers, _cells(answers, words), strict=True))
    usual = _usual(answers, words)
    return _lines("index", ((number, given.get(number, usual)) for number in range(part.num_rows)))


def _cells(answers: np.ndarray, words: tuple[str, ...]) -> list[str]:
    if len(words) == 1:
        return [f"{value:.3f}" for value in answers[:, 0]]
    return [words[index] for index in answers.argmax(axis=1)]


def _usual(answers: np.ndarray, words: tuple[str, ...]) -> str:
    if not len(answers):
        return f"{LARGEST_SCORE / 2:.3f}" if len(words) == 1 else words[0]
    if len(words) == 1:
        return f"{np.median(answers):.3f}"
    return words[np.bincount(answers.argmax(axis=1)).argmax()]


def _lines(first: str, rows) -> str:
    return f"{first}\tprediction\n" + "".join(f"{name}\t{cell}\n" for name, cell in rows)
