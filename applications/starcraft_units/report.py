"""The report of an evaluation as one HTML page that needs no other file."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

_STYLE = (
    "body{font-family:sans-serif;margin:2em}"
    "td,th{padding:.3em 1em;text-align:right}th:first-child{text-align:left}"
)
_SCORES = ("unit_accuracy", "exact_selection", "precision", "recall", "f1", "average_precision")


def report_page(report: Mapping[str, Any]) -> str:
    """Returns the HTML of a report. Names from outside are escaped.

    Args:
        report: what `evaluate` gathers.
    """
    rows = {f"this model ({report['encoder']})": report["figures"]}
    rows |= {name.replace("_", " "): scores for name, scores in report["chance"].items()}
    header = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in ("selects", *_SCORES))
    body = "".join(
        f"<tr><th>{escape(name)}</th>{''.join(f'<td>{scores[score]:.3f}</td>' for score in _SCORES)}</tr>"
        for name, scores in rows.items()
    )
    costs = "".join(
        f"<tr><th>{escape(part)}</th><td>{count / 1e9:.4f}</td></tr>"
        for part, count in report["flops"].items()
    )
    figures = report["figures"]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Unit selection</title>'
        f"<style>{_STYLE}</style><h1>{escape(report['run'])}</h1>"
        f"<p>{escape(report['data'])}: {report['battles']}, {figures['num_battles']} battles of "
        f"{figures['num_units']} units, {escape(report['backend'])}</p>"
        f"<table><tr>{header}</tr>{body}</table>"
        f"<h2>GFLOPs of the entity encoder, a battle</h2><table>{costs}</table></html>\n"
    )
