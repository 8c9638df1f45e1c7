"""The page of an evaluation: the figures of every set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zorro_keras.applications.training.html_page import facts, page, table


def report_page(report: Mapping[str, Any]) -> str:
    """Returns the HTML of the figures that `evaluate` gathers."""
    rows = [
        (
            name,
            report["sets"][name]["split"],
            report["sets"][name]["num_examples"],
            figure,
            "undefined" if value is None else f"{value:.4f}",
        )
        for name, figures in report["scores"].items()
        for figure, value in figures.items()
    ]
    parts = [facts(report, ("run",)), table(("set", "split", "examples", "figure", "value"), rows)]
    if report["glue_average"] is not None:
        parts.append(f"<p>GLUE average of the eight tasks: {100 * report['glue_average']:.2f}</p>")
    return page("What the texts say", parts)
