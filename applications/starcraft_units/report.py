"""The report of an evaluation as one HTML page that needs no other file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zorro_keras.applications.training.html_page import facts, page, table

_SCORES = ("unit_accuracy", "exact_selection", "precision", "recall", "f1", "average_precision")


def report_page(report: Mapping[str, Any]) -> str:
    """Returns the HTML of a report. Names from outside are escaped.

    Args:
        report: what `evaluate` gathers.
    """
    figures = report["figures"]
    rows = {f"this model ({report['encoder']})": figures}
    rows |= {name.replace("_", " "): scores for name, scores in report["chance"].items()}
    scores = table(
        ("selects", *(name.replace("_", " ") for name in _SCORES)),
        [(name, *(f"{found[score]:.3f}" for score in _SCORES)) for name, found in rows.items()],
    )
    costs = [(part, f"{count / 1e9:.4f}") for part, count in report["flops"].items()]
    parts = [
        facts(report, ("run", "data", "battles", "backend")),
        f"<p>{figures['num_battles']} battles of {figures['num_units']} units</p>",
        scores,
        f"<h2>What the entity encoder costs a battle</h2>{table(('part', 'GFLOPs'), costs)}",
    ]
    return page("Which units are selected", parts)
