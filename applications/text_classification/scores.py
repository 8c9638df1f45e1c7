"""The official figures of GLUE, and its average as the Perceiver IO paper takes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from zorro_keras import metrics
from zorro_keras.applications.text_classification.glue_tasks import GLUE_TASKS, MULTITASK

# Metric -> function of labels `(B,)`, answers `(B, K)` and weights `(B,)`.
METRICS: Mapping[str, Callable[[np.ndarray, np.ndarray, np.ndarray], float]] = {
    "accuracy": metrics.accuracy,
    "f1": metrics.f1_score,
    "macro_f1": metrics.macro_f1_score,
    "matthews": metrics.matthews_correlation,
    "pearson": lambda y, answers, weight: metrics.pearson_correlation(y, answers[:, 0], weight),
    "spearman": lambda y, answers, weight: metrics.spearman_correlation(y, answers[:, 0], weight),
}


def default_metrics(task: str, num_outputs: int) -> tuple[str, ...]:
    """The figures of a task: GLUE's own; else by the kind of its output."""
    if task in GLUE_TASKS:
        return GLUE_TASKS[task].metrics
    return ("pearson", "spearman") if num_outputs == 1 else ("accuracy", "macro_f1")


def task_scores(
    names: Sequence[str], labels: np.ndarray, answers: np.ndarray, sample_weight: np.ndarray | None = None
) -> dict[str, float]:
    """The figures asked for.

    Args:
        names: keys of `METRICS`.
        labels: ints `(B,)`, or floats for correlations.
        answers: `(B, K)` logits, or `(B, 1)` numbers.
        sample_weight: optional `(B,)`.
    """
    return {name: METRICS[name](labels, answers, sample_weight) for name in names}


def glue_average(scores: Mapping[str, Mapping[str, float]]) -> float | None:
    """The mean over GLUE's tasks of the first figure of each.

    MNLI's matched and mismatched sets are averaged first and count once; MRPC and QQP count by accuracy,
    STS-B by Pearson, CoLA by Matthews. In the paper's tables this gives the averages printed there.

    Args:
        scores: dict of set, such as "CoLA" or "MNLI mismatched", to a dict of figure to number.

    Returns:
        float; `None` unless all eight tasks are there.

    Reference:
        Perceiver IO, arXiv 2107.14795, appendix F.
    """
    by_task: dict[str, list[float]] = {}
    for name, figures in scores.items():
        task = name.split(" ")[0]
        first = default_metrics(task, 0)[0]
        if task in MULTITASK and first in figures:
            by_task.setdefault(task, []).append(figures[first])
    if set(by_task) != set(MULTITASK) or len(by_task["MNLI"]) != 2:
        return None
    average = float(np.mean([np.mean(values) for values in by_task.values()]))
    return average if math.isfinite(average) else None
