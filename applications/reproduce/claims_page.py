"""The report as one HTML page: a section for each claim, with its dots, its sentences and its verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from zorro_keras.applications.reproduce.claims import MEASURES
from zorro_keras.applications.reproduce.dots import dot_plot
from zorro_keras.applications.reproduce.report import arm_text
from zorro_keras.applications.training.html_page import facts, image, page, table

_STYLE = """
img { max-width: 100%; display: block; margin: 12px 0; }
.verdict { font-weight: 650; } .yes { color: #1f7a52; } .no { color: #b3403a; }
li { margin-bottom: 6px; }
"""
_COLOURS = {"comes out": "yes", "does not come out": "no"}
_TEXT = """
<p>Small models on generated clips of eight events, so every figure is about these and none is the paper's.
A quarter of the clips says nothing by its sound, a quarter nothing by its picture: 78.1&nbsp;% are possible
from one, 94.5&nbsp;% from both. Effects are differences in points on the held-out clips, with half the
width of a 95&nbsp;% interval over clips (paired), for these seeds. Verdicts are computed: "comes out" and
"does not come out" where the whole interval and every seed say so, "within the spread" where they do not,
and "a difference" where nothing was claimed. Many rows are compared, so one in twenty may differ by chance;
and few seeds say little of how far others would lie.</p>
"""
_QUICK_TEXT = "<p>A quick run: shows that everything runs; the figures mean nothing.</p>"


def claims_page(report: Mapping[str, Any]) -> str:
    """Returns the HTML of a report, as `reproduce` gathers it."""
    parts = [
        facts(report, ("backend", "seeds", "clips", "minutes", "quick")),
        _QUICK_TEXT if report["quick"] else _TEXT,
        *(_section(letter, claim, report) for letter, claim in report["claims"].items()),
        "<h2>All experiments</h2>" + _experiments(report["experiments"]),
    ]
    return page("The claims of Zorro, reproduced in small", parts, _STYLE)


def _section(letter: str, claim: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    rows = claim["comparisons"]
    arms = dict.fromkeys(tuple(row[side]) for row in rows for side in ("first", "second"))
    shown = {
        arm_text(arm): report["experiments"][arm[0]]["measures"][arm[1]]
        for arm in sorted(arms, key=lambda arm: list(MEASURES).index(arm[1]))
    }
    sentences = "".join(_sentence(row) for row in rows)
    plot = image(dot_plot(shown, report["chance_percent"]), "svg+xml", claim["title"])
    title, text = escape(f"{letter}. {claim['title']}"), escape(claim["text"])
    return f"<h2>{title}</h2><p>{text}</p>{plot}<ul>{sentences}</ul>"


def _sentence(row: Mapping[str, Any]) -> str:
    said, found = row["sentence"].removesuffix(f"{row['verdict']}."), row["verdict"]
    kind = _COLOURS.get(found, "")
    found = f'<span class="verdict {kind}">{escape(found)}</span>'
    return f"<li><b>{escape(row['text'])}.</b> {escape(said)}{found}.</li>"


def _experiments(experiments: Mapping[str, Any]) -> str:
    heads = ("", "mean, %", "\N{PLUS-MINUS SIGN}", "spread of seeds", "by seed")
    return table(heads, (row for name, figures in experiments.items() for row in _rows(name, figures)))


def _rows(name: str, experiment: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    for measure, figures in experiment["measures"].items():
        spread = "\N{EN DASH}" if figures["spread"] is None else f"{figures['spread']:.1f}"
        seeds = ", ".join(f"{value:.1f}" for value in figures["by_seed"])
        mean, margin = f"{figures['mean']:.1f}", f"{figures['margin']:.1f}"
        yield arm_text((name, measure)), mean, margin, spread, seeds
