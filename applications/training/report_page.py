"""The modality report as one HTML page that needs no other file."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from zorro_keras.applications.training.plots import PALETTE, class_plot, confusion_plot

_CLASSES_SHOWN = 24  # with more, the plots keep those that gain and lose most; tables keep all
_FIGURES = {
    "accuracy": "accuracy",
    "top_5_accuracy": "top 5",
    "mean_average_precision": "mAP",
    "roc_auc": "AUC",
    "d_prime": "d&prime;",
}
_STYLE = """
:root { --ink: #22262c; --soft: #667080; --line: #e3e6ea; --paper: #ffffff; --ground: #f5f6f8; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
       font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; }
h2 { font-size: 18px; margin: 0 0 4px; }
p { margin: 0 0 14px; color: var(--soft); max-width: 78ch; }
.facts { display: flex; flex-wrap: wrap; gap: 4px 22px; color: var(--soft); margin-bottom: 26px;
         overflow-wrap: anywhere; }
.facts b { color: var(--ink); font-weight: 600; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 16px;
         margin-bottom: 24px; }
.card, section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; }
.card { padding: 16px 20px; border-top: 4px solid var(--accent); }
.card .name { font-weight: 600; }
.card .number { font-size: 38px; line-height: 1.15; font-weight: 650; letter-spacing: -0.02em; }
.card .note { color: var(--soft); font-size: 13px; }
section { padding: 22px 24px; margin-bottom: 24px; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: right; font-weight: 600; font-size: 13px; color: var(--soft); padding: 6px 10px;
     border-bottom: 1px solid var(--line); white-space: nowrap; }
td { text-align: right; padding: 6px 10px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child, th.text, td.text { text-align: left; }
td.text { white-space: normal; overflow-wrap: anywhere; }
tr:last-child td { border-bottom: 0; }
tr.main td { font-weight: 650; }
.dot { display: inline-block; width: 10px; height: 10px; border-radius: 50%; margin-right: 8px; }
.up { color: #1f7a52; } .down { color: #b3403a; }
img { display: block; width: 100%; height: auto; margin: 6px 0 14px; }
footer { color: var(--soft); font-size: 13px; }
"""


def report_page(report: Mapping[str, Any]) -> str:
    """Returns the HTML of a report, as `evaluate_run` gathers it. Names from outside are escaped."""
    title = "What each modality knows"
    parts = [
        f"<h1>{title}</h1>",
        _facts(report),
        _cards(report),
        _section("Every head, from every subset of the inputs", _SCORES_TEXT, _scores_table(report)),
        _section("What the clips really have", _PRESENCE_TEXT, _presence_table(report)),
        _section("Class by class", _CLASS_TEXT[report["multi_label"]], _class_part(report)),
    ]
    if not report["multi_label"]:
        parts.append(_section("What is taken for what", _CONFUSION_TEXT, _confusion_part(report)))
    parts.append(_section("Worst clips", _WORST_TEXT, _worst_table(report)))
    if report["unusable_clips"]:
        listed = "".join(f"<li>{escape(name)}</li>" for name in report["unusable_clips"][:50])
        parts.append(_section("Clips that could not be read", _UNUSABLE_TEXT, f"<ul>{listed}</ul>"))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head>\n<body><main>\n" + "\n".join(parts) + "\n</main></body></html>\n"
    )


_SCORES_TEXT = (
    "A stream outside the subset is not given to the model at all. Bold: the head that speaks for the "
    "subset: the lone stream's own, else fusion, or the only one of a model that has one."
)
_PRESENCE_TEXT = (
    "Every clip counts everywhere. One that lacks all streams of a subset is answered from nothing, which "
    "with balanced classes is right by chance; here such clips stand apart."
)
_CLASS_TEXT = {
    False: "Share of a class's clips that is recognised. Gain: all streams against the best single one.",
    True: "Average precision. Gain: all streams against the best single one.",
}
_CONFUSION_TEXT = "Per cent of each true class (rows) that is taken for each class (columns)."
_WORST_TEXT = "The clips whose true class gets the least probability from all streams together."
_UNUSABLE_TEXT = "They are in no figure above; faults.jsonl in the run's folder says why. The first 50:"


def _facts(report: Mapping[str, Any]) -> str:
    facts = {
        "run": report["run"],
        "data": report["data"],
        "test clips": report["num_clips"],
        "classes": len(report["label_names"]),
        "backend": report["backend"],
    }
    listed = "".join(f"<span>{name} <b>{escape(str(value))}</b></span>" for name, value in facts.items())
    return f'<div class="facts">{listed}</div>'


def _cards(report: Mapping[str, Any]) -> str:
    figure = _leading_figure(report)
    cards = []
    for index, (subset, main) in enumerate(report["main"].items()):
        only = " only" if "+" not in subset else ""
        note = f"{_FIGURES[figure]}, head {escape(main['head'])}"
        cards.append(
            f'<div class="card" style="--accent: {_colour(index)}">'
            f'<div class="name">{escape(subset)}{only}</div>'
            f'<div class="number">{_percent(main[figure])}</div><div class="note">{note}</div></div>'
        )
    return f'<div class="cards">{"".join(cards)}</div>'


def _scores_table(report: Mapping[str, Any]) -> str:
    figures = [name for name in _FIGURES if name in next(iter(report["main"].values()))]
    rows = []
    for index, (subset, heads) in enumerate(report["scores"].items()):
        for head, values in heads.items():
            is_main = head == report["main"][subset]["head"]
            cells = [(_decimal if name == "d_prime" else _shaded)(values[name]) for name in figures]
            name = f'<td><span class="dot" style="background: {_colour(index)}"></span>{escape(subset)}</td>'
            rows.append((name + f'<td class="text">{escape(head)}</td>' + "".join(cells), is_main))
    return _table(["inputs", ("head", "text"), *(_FIGURES[name] for name in figures)], rows)


def _presence_table(report: Mapping[str, Any]) -> str:
    figure = _leading_figure(report)
    rows = []
    for group in report["presence"]:
        cells = [f"<td>{escape(group['has'] or 'nothing')}</td><td>{group['num_clips']}</td>"]
        for subset, main in report["main"].items():
            cells.append(_shaded(group["scores"][subset][main["head"]][figure]))
        rows.append(("".join(cells), False))
    return _table(["clips with", "clips", *(escape(subset) for subset in report["main"])], rows)


def _class_part(report: Mapping[str, Any]) -> str:
    classes = report["classes"]
    has_gain = "gain" in classes[0]
    shown = classes
    if len(classes) > _CLASSES_SHOWN:
        by_gain = sorted(classes, key=lambda row: row.get("gain") or 0.0)
        shown = by_gain[: _CLASSES_SHOWN // 2] + by_gain[-_CLASSES_SHOWN // 2 :]
    measure = "average precision" if report["multi_label"] else "accuracy"
    rows = []
    for row in classes:
        cells = f"<td>{escape(row['label'])}</td><td>{row['num_clips']}</td>"
        cells += "".join(_shaded(value) for value in row["scores"].values())
        rows.append((cells + (_gain(row["gain"]) if has_gain else ""), False))
    heads = ["class", "clips", *(escape(name) for name in report["main"]), *(["gain"] if has_gain else [])]
    return _image(class_plot(shown, measure), "figures by class") + _table(heads, rows)


def _confusion_part(report: Mapping[str, Any]) -> str:
    names = list(report["confusion"])
    widest = max(names, key=lambda name: name.count("+"))
    chosen = {name: report["confusion"][name] for name in names if "+" not in name or name == widest}
    return _image(confusion_plot(chosen, report["label_names"]), "confusion matrices")


def _worst_table(report: Mapping[str, Any]) -> str:
    rows = []
    for clip in report["worst_clips"]:
        text = (clip["id"], ", ".join(clip["true"]), clip["predicted"], clip["has"])
        cells = "".join(f'<td class="text">{escape(value)}</td>' for value in text)
        shares = (clip["true_probability"], clip["predicted_probability"])
        cells += "".join(f"<td>{_percent(share)}</td>" for share in shares)
        rows.append((cells, False))
    heads = ["clip", ("true", "text"), ("predicted", "text"), ("has", "text")]
    return _table([*heads, "P(true)", "P(predicted)"], rows)


def _section(title: str, text: str, body: str) -> str:
    return f"<section><h2>{title}</h2><p>{text}</p>{body}</section>"


def _table(heads: Sequence[str | tuple[str, str]], rows: Iterable[tuple[str, bool]]) -> str:
    titles = "".join(
        f"<th>{head}</th>" if isinstance(head, str) else f'<th class="{head[1]}">{head[0]}</th>'
        for head in heads
    )
    body = "".join(
        f'<tr class="main">{cells}</tr>' if is_main else f"<tr>{cells}</tr>" for cells, is_main in rows
    )
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"


def _image(svg: str, text: str) -> str:
    data = base64.b64encode(svg.encode("utf-8")).decode("ascii")
    return f'<img alt="{text}" src="data:image/svg+xml;base64,{data}">'


def _leading_figure(report: Mapping[str, Any]) -> str:
    return "mean_average_precision" if report["multi_label"] else "accuracy"


def _colour(index: int) -> str:
    return PALETTE[index % len(PALETTE)]


def _shaded(value: float | None) -> str:
    if value is None:
        return "<td>&ndash;</td>"
    return f'<td style="background: rgba(59, 111, 182, {0.42 * value**3:.3f})">{_percent(value)}</td>'


def _gain(value: float | None) -> str:
    if value is None:
        return "<td>&ndash;</td>"
    direction = "up" if value > 0 else "down" if value < 0 else ""
    sign = "&minus;" if value < 0 else "+" if value > 0 else ""
    return f'<td class="{direction}">{sign}{abs(100 * value):.1f}</td>'


def _percent(value: float | None) -> str:
    return "&ndash;" if value is None else f"{100 * value:.1f}&thinsp;%"


def _decimal(value: float | None) -> str:
    return "<td>&ndash;</td>" if value is None else f"<td>{value:.2f}</td>"
