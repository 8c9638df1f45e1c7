"""GLUE's figures, and the average of the Perceiver IO paper from the paper's own table."""

import numpy as np
import pytest

from zorro_keras.applications.text_classification.glue_tasks import GLUE_TASKS, MULTITASK
from zorro_keras.applications.text_classification.scores import (
    METRICS,
    default_metrics,
    glue_average,
    task_scores,
)

COLUMNS = ("CoLA", "MNLI", "MNLI mismatched", "MRPC", "QNLI", "QQP", "RTE", "SST-2", "STS-B")
# Perceiver IO, arXiv 2107.14795, GLUE development sets: the last number is the average printed there.
PAPER = {
    "SentencePiece": (47.11, 84.53, 85.03, 87.25, 92.12, 90.22, 65.23, 94.38, 88.18, 81.16),
    "bytes": (50.19, 83.22, 83.89, 87.24, 91.71, 90.12, 64.84, 93.17, 86.81, 80.95),
    "bytes, larger": (52.54, 84.13, 84.91, 86.03, 92.06, 90.46, 66.54, 93.98, 87.93, 81.76),
    "multitask query": (47.88, 82.05, 82.77, 90.36, 90.37, 89.49, 80.08, 93.75, 79.95, 81.79),
}


def as_scores(row):
    return {
        name: {GLUE_TASKS[name.split(" ")[0]].metrics[0]: value}
        for name, value in zip(COLUMNS, row, strict=True)
    }


@pytest.mark.parametrize("model", PAPER)
def test_the_average_is_the_one_printed_in_the_paper(model):
    *row, average = PAPER[model]
    assert glue_average(as_scores(row)) == pytest.approx(average, abs=0.006)


def test_wnli_and_the_diagnosis_do_not_count_and_nothing_may_be_missing():
    *row, average = PAPER["bytes"]
    scores = as_scores(row)
    scores |= {"WNLI": {"accuracy": 0.0}, "AX": {"matthews": 0.0}}
    assert glue_average(scores) == pytest.approx(average, abs=0.006)
    for name in COLUMNS:
        assert glue_average({other: figures for other, figures in scores.items() if other != name}) is None


def test_every_task_of_glue_has_its_official_figures():
    assert {name for task in GLUE_TASKS.values() for name in task.metrics} <= set(METRICS)
    assert GLUE_TASKS["CoLA"].metrics[0] == "matthews" and set(MULTITASK) < set(GLUE_TASKS)
    assert default_metrics("STS-B", 1) == ("pearson", "spearman")
    assert default_metrics("mine", 1) == ("pearson", "spearman")
    assert default_metrics("mine", 3) == ("accuracy", "macro_f1")


def test_figures_come_from_logits_and_from_scores():
    labels, logits = np.array([0, 1, 1, 0]), np.array([[2.0, 0], [0, 1], [3, 1], [1, 0]])
    assert task_scores(GLUE_TASKS["MRPC"].metrics, labels, logits) == {
        "accuracy": 0.75,
        "f1": pytest.approx(2 / 3),
    }
    values = np.array([[0.1], [2.0], [2.5], [9.0]])
    found = task_scores(GLUE_TASKS["STS-B"].metrics, np.array([0.0, 1, 2, 3]), values)
    assert found["spearman"] == pytest.approx(1.0) and found["pearson"] < 0.95
    weighted = task_scores(("accuracy",), labels, logits, np.array([1, 1, 0, 1.0]))
    assert weighted == {"accuracy": 1.0}
