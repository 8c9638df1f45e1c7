"""Plots as SVG or PNG: confusion matrices, figures by class, probabilities over time."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# One colour per subset of streams, in the order in which reports list them.
PALETTE = ("#3b6fb6", "#d9822b", "#2f8f6b", "#8e5ea2", "#b5495b", "#5b8a9a", "#7a6c5d")
_INK, _GRID = "#2b2f36", "#e3e6ea"
_STYLE = {
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": "#b8bec6",
    "xtick.color": _INK,
    "ytick.color": _INK,
    "svg.hashsalt": "zorro_keras",  # the same numbers give the same bytes
}
_LARGEST_LABELLED = 40


def confusion_plot(matrices: Mapping[str, Sequence[Sequence[int]]], label_names: Sequence[str]) -> str:
    """Returns an SVG of confusion matrices side by side, each row divided by its sum.

    Args:
        matrices: dict of title to `(K, K)` counts, rows are true classes.
        label_names: K names.
    """
    with matplotlib.rc_context(_STYLE):
        is_labelled = len(label_names) <= _LARGEST_LABELLED
        side = 1.2 + 0.3 * min(max(len(label_names), 7), _LARGEST_LABELLED)
        figure = Figure(figsize=(side * len(matrices), side), layout="constrained")
        panels = figure.subplots(1, len(matrices), squeeze=False, sharey=True)[0]
        for panel, (title, matrix) in zip(panels, matrices.items(), strict=True):
            counts = np.asarray(matrix, float)
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
            panel.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, interpolation="nearest", rasterized=True)
            panel.set_title(title, fontweight="bold", pad=8)
            panel.set_xlabel("predicted")
            _label_classes(panel, label_names if is_labelled else ())
            if len(label_names) <= 16:
                _write_percentages(panel, shares)
        panels[0].set_ylabel("true")
        return _svg(figure)


def class_plot(rows: Sequence[Mapping[str, object]], measure: str) -> str:
    """Returns an SVG of bars: one group per class, one bar per subset.

    Args:
        rows: dicts with `label` and `scores`, a dict of subset to number or `None`.
        measure: str. What the numbers are.
    """
    with matplotlib.rc_context(_STYLE):
        subsets = list(rows[0]["scores"])
        figure = Figure(figsize=(10, 3.2), layout="constrained")
        axes = figure.subplots()
        places, width = np.arange(len(rows)), 0.8 / len(subsets)
        for index, subset in enumerate(subsets):
            heights = [row["scores"][subset] or 0.0 for row in rows]
            offset = (index - (len(subsets) - 1) / 2) * width
            colour = PALETTE[index % len(PALETTE)]
            axes.bar(places + offset, heights, 0.92 * width, label=subset, color=colour)
        axes.set_xticks(places, [str(row["label"]) for row in rows], rotation=30, ha="right")
        axes.set_ylim(0.0, 1.0)
        axes.set_ylabel(measure)
        _clean(axes)
        figure.legend(ncols=len(subsets), loc="outside upper center", frameon=False)
        return _svg(figure)


def likeness_plot(matrix: Sequence[Sequence[float | None]], label_names: Sequence[str]) -> str:
    """Returns an SVG of how alike the sounds of each class (rows) are to the pictures of each (columns).

    Args:
        matrix: `(K, K)` cosines; None where there is none.
        label_names: K names.
    """
    with matplotlib.rc_context(_STYLE):
        values = np.array(matrix, float)  # None becomes NaN, which is drawn as nothing
        furthest = max(float(np.nanmax(np.abs(values))), 1e-6)
        side = 2.0 + 0.4 * min(max(len(label_names), 6), _LARGEST_LABELLED // 2)
        figure = Figure(figsize=(side + 1.0, side), layout="constrained")
        panel = figure.subplots()
        drawn = panel.imshow(values, cmap="RdBu_r", vmin=-furthest, vmax=furthest, interpolation="nearest")
        panel.set_ylabel("sound")
        panel.set_xlabel("picture")
        _label_classes(panel, label_names)
        if len(label_names) <= 16:
            for (row, column), value in np.ndenumerate(values):
                if np.isfinite(value):
                    colour = "white" if abs(value) > 0.6 * furthest else _INK
                    panel.text(
                        column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour
                    )
        figure.colorbar(drawn, ax=panel, fraction=0.046, pad=0.03, label="mean cosine")
        return _svg(figure)


def timeline_plot(
    path: str | os.PathLike[str],
    probabilities: np.ndarray,
    label_names: Sequence[str],
    *,
    end_seconds: float,
    title: str,
) -> None:
    """Writes a PNG of probabilities over time, a row of colour per class.

    Args:
        path: file to write.
        probabilities: `(T, K)`, T equal parts of the time from 0 to `end_seconds`; NaN where unknown.
        label_names: K names, the topmost first.
        end_seconds: float.
        title: str.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(11, 1.4 + 0.34 * len(label_names)), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(
            probabilities.T,
            aspect="auto",
            cmap="Blues",
            vmin=0.0,
            vmax=1.0,
            interpolation="nearest",
            extent=(0.0, end_seconds, len(label_names) - 0.5, -0.5),
        )
        axes.set_yticks(np.arange(len(label_names)), label_names)
        axes.set_xlabel("seconds")
        axes.set_title(title, fontweight="bold", loc="left", pad=8)
        axes.spines[["top", "right"]].set_visible(False)
        figure.colorbar(image, ax=axes, pad=0.01, fraction=0.03, label="probability")
        figure.savefig(path, dpi=130)


def _label_classes(panel: Axes, label_names: Sequence[str]) -> None:
    places = np.arange(len(label_names))
    panel.set_xticks(places, label_names, rotation=45, ha="right", rotation_mode="anchor")
    panel.set_yticks(places, label_names)
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)


def _write_percentages(panel: Axes, shares: np.ndarray) -> None:
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.005:
            colour = "white" if share > 0.55 else _INK
            panel.text(column, row, f"{share:.0%}"[:-1], ha="center", va="center", fontsize=8, color=colour)


def _clean(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=_GRID)


def _svg(figure: Figure) -> str:
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)
    return file.getvalue()
