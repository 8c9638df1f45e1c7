"""The page of an evaluation: the figures of every set."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any


def report_page(report: Mapping[str, Any]) -> str:
    """Returns the HTML of the figures that `evaluate` gathers."""
    rows = [
        f"<tr><td>{escape(name)}</td><td>{report['sets'][name]['split']}</td>"
        f"<td>{report['sets'][name]['num_examples']}</td><td>{escape(figure)}</td>"
        f"<td>{'undefined' if value is None else f'{value:.4f}'}</td></tr>"
        for name, figures in report["scores"].items()
        for figure, value in figures.items()
    ]
    average = report["glue_average"]
    closing = "" if average is None else f"<p>GLUE average of the eight tasks: {100 * average:.2f}</p>"
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Text classification</title>'
        "<style>body{font-family:sans-serif;margin:2em}td,th{padding:.3em 1em;text-align:left}</style>"
        f"<h1>{escape(report['run'])}</h1><table><tr><th>set</th><th>split</th><th>examples</th>"
        f"<th>figure</th><th>value</th></tr>{''.join(rows)}</table>{closing}</html>\n"
    )
