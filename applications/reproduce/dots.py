"""A plot of accuracies: a dot for each seed, and their mean with its interval."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from zorro_keras.applications.training.plots import PALETTE

_STYLE = {"font.family": "sans-serif", "font.size": 9, "svg.hashsalt": "zorro_keras"}
_SOFT = "#667080"


def dot_plot(arms: Mapping[str, Mapping[str, Any]], chance_percent: float) -> bytes:
    """Returns an SVG with a row for each arm, the first on top.

    Args:
        arms: dict of what a row is called to its figures, see `report_of`: `by_seed`, `mean`, `margin`.
        chance_percent: float. Where a line says what guessing gives.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(9, 0.7 + 0.27 * len(arms)), layout="constrained")
        axes = figure.subplots()
        axes.axvline(chance_percent, color=_SOFT, linestyle=":", linewidth=1)
        for place, figures in enumerate(arms.values()):
            axes.errorbar(
                figures["mean"],
                place,
                xerr=figures["margin"],
                color=PALETTE[0],
                capsize=3,
                marker="|",
                markersize=11,
            )
            seeds = figures["by_seed"]
            axes.scatter(seeds, [place] * len(seeds), color=PALETTE[1], s=18, zorder=3, alpha=0.8)
        axes.set_yticks(range(len(arms)), list(arms))
        axes.set_ylim(len(arms) - 0.5, -0.5)
        axes.set_xlim(-2.0, 102.0)
        axes.set_xlabel("per cent right; dotted: by chance among the classes (of pairs, one in all clips)")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", color="#e3e6ea")
        axes.set_axisbelow(True)
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
        return file.getvalue()
