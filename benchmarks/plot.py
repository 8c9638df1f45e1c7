"""The rows as a picture: a panel for each script, a bar for each ratio, from 1 to what was measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

LEAST, MOST = 0.05, 20.0  # of the axis; what lies beyond is drawn to its end, its figure written beside it
MET, MISSED, OPEN = "#2f8f6b", "#c2453a", "#7f93b0"
_INK, _GRID = "#2b2f36", "#e3e6ea"
_STYLE = {
    "font.family": "sans-serif",
    "font.size": 8,
    "text.color": _INK,
    "axes.edgecolor": "#b8bec6",
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


def draw(panels: Mapping[str, Sequence], path: Path, title: str) -> None:
    """Writes a picture, in the format that the ending of `path` names.

    Args:
        panels: dict of title to rows, each a `measure.Row`, one or more.
        path: file to write.
        title: what all of them have in common.
    """
    with matplotlib.rc_context(_STYLE):
        heights = [len(rows) + 2 for rows in panels.values()]
        figure = Figure(figsize=(13, 1 + 0.19 * sum(heights)), layout="constrained")
        figure.suptitle(title, fontweight="bold")
        axes = figure.subplots(len(panels), squeeze=False, height_ratios=heights)[:, 0]
        for panel, (name, rows) in zip(axes, panels.items(), strict=True):
            panel.set_title(name, loc="left", fontweight="bold")
            _draw_rows(panel, rows)
        axes[-1].set_xlabel(
            "ratio or share; black ticks are targets, green bars meet theirs, red ones do not"
        )
        figure.savefig(path, dpi=110)


def _draw_rows(panel: Axes, rows: Sequence) -> None:
    panel.set_xscale("log")
    panel.set_xlim(LEAST, MOST)
    panel.set_ylim(len(rows) - 0.4, -0.6)  # the first on top
    panel.set_yticks(range(len(rows)), [row.what for row in rows])
    panel.set_xticks([0.1, 0.2, 0.5, 1, 2, 5, 10], ["0.1", "0.2", "0.5", "1", "2", "5", "10"])
    panel.xaxis.minorticks_off()
    panel.tick_params(length=0)
    panel.spines[["top", "right"]].set_visible(False)
    panel.set_axisbelow(True)
    panel.grid(axis="x", color=_GRID)
    panel.axvline(1, color=_INK, linewidth=0.8)
    for place, row in enumerate(rows):
        _draw_row(panel, place, row)


def _draw_row(panel: Axes, place: int, row) -> None:
    if row.value is None:
        panel.text(1.05, place, row.detail, va="center", color="#8a6d3b", style="italic")
        return
    end = min(max(row.value, LEAST), MOST)
    colour = {"yes": MET, "NO": MISSED, "": OPEN}[row.verdict]
    panel.barh(place, end - 1, left=1, height=0.66, color=colour)
    if row.target is not None and LEAST <= row.target <= MOST:
        panel.plot([row.target] * 2, [place - 0.42, place + 0.42], color="black", linewidth=1.6)
    beside = max(end, 1) * 1.05 if end < MOST / 1.5 else MOST / 1.6
    panel.text(beside, place, f"{row.value:.3g}", va="center", fontsize=7)
