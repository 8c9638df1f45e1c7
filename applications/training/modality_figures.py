"""The figures of a modality report: what each head knows from each subset of the streams."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from zorro_keras.applications.training.probabilities import to_probabilities
from zorro_keras.applications.training.subset_scores import Subset, SubsetScores
from zorro_keras.metrics import average_precision, classification_summary, confusion_matrix

_NUM_WORST = 20


def name_of(subset: Subset) -> str:
    """Returns how a subset of streams is called in reports: `audio+video`."""
    return "+".join(subset)


def main_head(subset: Subset, heads: Sequence[str]) -> str:
    """Returns the head that speaks for a subset: a lone stream's own, else `fusion` or, without it, `global`.

    A model with none of these has one head, which speaks for every subset.

    The choice depends on names alone, never on the scores.
    """
    wanted = [*subset] if len(subset) == 1 else ["fusion"]
    return next((head for head in [*wanted, "global"] if head in heads), next(iter(heads)))


def modality_figures(
    scores: SubsetScores, label_names: Sequence[str], *, multi_label: bool
) -> dict[str, Any]:
    """Returns all figures as plain values, ready for JSON; what is not defined is `None`.

    Keys: `scores` (subset, head, figure), `main` (the same of the head that speaks for the subset),
    `presence` (the figures apart for clips that have these streams and no others), `confusion` (subset to
    `(K, K)` counts, rows true; not for several labels), `classes` and `worst_clips`.

    Args:
        scores: SubsetScores.
        label_names: K names.
        multi_label: bool.
    """
    probabilities = {
        subset: {head: to_probabilities(logits, multi_label=multi_label) for head, logits in heads.items()}
        for subset, heads in scores.logits.items()
    }
    answers = {subset: heads[main_head(subset, heads)] for subset, heads in probabilities.items()}
    everything = np.ones(len(scores.ids), bool)
    figures = {
        "scores": _scores(scores.labels, probabilities, everything, multi_label),
        "main": {
            name_of(subset): {
                "head": main_head(subset, probabilities[subset]),
                **_figures(scores.labels, answer, everything, multi_label),
            }
            for subset, answer in answers.items()
        },
        "presence": _by_presence(scores, probabilities, multi_label),
        "classes": _by_class(scores.labels, answers, label_names, multi_label),
        "worst_clips": _worst_clips(scores, answers, label_names),
    }
    if not multi_label:
        figures["confusion"] = {
            name_of(subset): confusion_matrix(scores.labels, answer).astype(int).tolist()
            for subset, answer in answers.items()
        }
    return _plain(figures)


def _scores(labels, probabilities, chosen, multi_label):
    return {
        name_of(subset): {
            head: _figures(labels, values, chosen, multi_label) for head, values in heads.items()
        }
        for subset, heads in probabilities.items()
    }


def _figures(labels, probabilities, chosen, multi_label):
    return classification_summary(labels[chosen], probabilities[chosen], multi_label=multi_label)


def _by_presence(scores, probabilities, multi_label):
    """The same figures for clips that differ in which streams they really have."""
    streams = list(scores.presence)
    has = np.stack([scores.presence[name] for name in streams], axis=1)
    groups = []
    for pattern in sorted({tuple(row) for row in has.tolist()}, key=lambda row: (-sum(row), row)):
        chosen = (has == pattern).all(axis=1)
        groups.append(
            {
                "has": name_of(tuple(name for name, there in zip(streams, pattern, strict=True) if there)),
                "num_clips": int(chosen.sum()),
                "scores": _scores(scores.labels, probabilities, chosen, multi_label),
            }
        )
    return groups


def _by_class(labels, answers, label_names, multi_label):
    """Recall (average precision for several labels) by class, and what all streams gain over the best one.

    The gain needs an answer from several streams and from one alone: without them it is left out.
    """
    by_subset = {
        subset: average_precision(labels, answer) if multi_label else _recall(labels, answer)
        for subset, answer in answers.items()
    }
    widest = max(by_subset, key=len)
    alone = [values for subset, values in by_subset.items() if len(subset) == 1]
    rows = []
    for index, label in enumerate(label_names):
        row = {"label": label, "num_clips": int(labels[:, index].sum())}
        row["scores"] = {name_of(subset): values[index] for subset, values in by_subset.items()}
        if alone and len(widest) > 1:
            row["gain"] = by_subset[widest][index] - max(values[index] for values in alone)
        rows.append(row)
    return rows


def _recall(labels: np.ndarray, answer: np.ndarray) -> np.ndarray:
    hits = confusion_matrix(labels, answer)
    totals = hits.sum(axis=1)
    return np.divide(hits.diagonal(), totals, out=np.full(len(hits), np.nan), where=totals > 0)


def _worst_clips(scores, answers, label_names):
    """The clips whose true classes get the least probability from the widest subset of streams."""
    answer = answers[max(answers, key=len)]
    true_probability = np.where(scores.labels > 0, answer, np.inf).min(axis=1)
    worst = np.argsort(true_probability, kind="stable")[:_NUM_WORST]
    rows = []
    for row in worst:
        predicted = int(answer[row].argmax())
        rows.append(
            {
                "id": scores.ids[row],
                "true": [label_names[index] for index in np.flatnonzero(scores.labels[row])],
                "true_probability": true_probability[row],
                "predicted": label_names[predicted],
                "predicted_probability": answer[row, predicted],
                "has": name_of(tuple(name for name, has in scores.presence.items() if has[row])),
            }
        )
    return rows


def _plain(values: Any) -> Any:
    """Python values for JSON: NaN and infinity, which JSON lacks, become `None`."""
    if isinstance(values, dict):
        return {name: _plain(value) for name, value in values.items()}
    if isinstance(values, list):
        return [_plain(value) for value in values]
    if isinstance(values, (float, np.floating)):
        return round(float(values), 6) if math.isfinite(values) else None
    return values
