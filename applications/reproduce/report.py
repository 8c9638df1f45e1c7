"""From the results of all experiments to figures, effects and verdicts: what the report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from zorro_keras.applications.reproduce.claims import CLAIMS, MEASURES, Arm, Comparison
from zorro_keras.applications.reproduce.effect import effect_of, verdict
from zorro_keras.applications.reproduce.experiments import EXPERIMENTS, Experiment

Results = Mapping[str, Sequence[Mapping[str, Any]]]  # by experiment, one for each seed


def report_of(results: Results) -> dict[str, Any]:
    """Returns all figures as plain values.

    Args:
        results: dict of experiment to its results, one for each seed, in one order of seeds.

    Returns:
        Dict with `experiments`, by name what was trained, how long, and for each measure `by_seed`, `mean`,
        `spread` over the seeds and `margin`, half the 95 % interval over clips; and `claims`, by letter what
        is compared, with `effect`, `verdict` and a `sentence`.
    """
    return {
        "experiments": {name: _experiment(name, rows) for name, rows in results.items()},
        "claims": {
            letter: {
                "title": claim.title,
                "text": claim.text,
                "comparisons": [_compared(row, results) for row in claim.comparisons],
            }
            for letter, claim in CLAIMS.items()
        },
    }


def arm_text(arm: Arm) -> str:
    """Returns what an arm is called, such as "Zorro, sound alone"."""
    experiment, measure = arm
    return f"{_state(EXPERIMENTS[experiment], measure)}, {MEASURES[measure]}"


def _state(row: Experiment, measure: str) -> str:
    """What the model is when it is measured: pre-trained ones are probed before they see a label."""
    if row.learns == "labels":
        return row.text
    is_before = measure.startswith(("probe", "pairs"))
    if row.learns == "few labels":
        return "untrained Zorro" if is_before else row.text
    return row.text if is_before else f"{row.text}, then few labels"


def _experiment(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    row = EXPERIMENTS[name]
    measures = {measure: [result["hits"][measure] for result in rows] for measure in rows[0]["hits"]}
    return {
        "text": row.text,
        "learns": row.learns,
        "pairs": row.pairs,
        "backbone": asdict(row.backbone),
        "seeds": [result["seed"] for result in rows],
        "seconds": [result["seconds"] for result in rows],
        "measures": {measure: _figures(hits) for measure, hits in measures.items()},
    }


def _figures(hits: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Percentages; of a lone accuracy the error is its difference from never being right."""
    error = effect_of(hits, np.zeros_like(hits))
    return {
        "by_seed": error.by_seed,
        "mean": error.points,
        "spread": error.spread,
        "margin": error.margin,
        "clips": len(hits[0]),
    }


def _compared(row: Comparison, results: Results) -> dict[str, Any]:
    first, second = (
        [result["hits"][measure] for result in results[experiment]]
        for experiment, measure in (row.first, row.second)
    )
    effect = effect_of(first, second)
    found = verdict(effect, row.expects)
    return {
        "text": row.text,
        "first": row.first,
        "second": row.second,
        "expects": row.expects,
        "effect": asdict(effect),
        "verdict": found,
        "sentence": (
            f"{arm_text(row.first)}: {100 * np.mean(first):.1f} %; {arm_text(row.second)}: "
            f"{100 * np.mean(second):.1f} %. Effect: {effect.points:+.1f} points "
            f"(\N{PLUS-MINUS SIGN} {effect.margin:.1f}): {found}."
        ),
    }
