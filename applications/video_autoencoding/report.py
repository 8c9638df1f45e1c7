"""The report of an evaluation as one HTML page that needs no other file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zorro_keras.applications.training.html_page import facts, image, page, percent, table

_WORDS = {
    "model": "rebuilt by the model",
    "mean_frame": "mean frame of the training clips",
    "own_mean_frame": "each clip's own mean frame",
    "silence": "silence",
}
_STYLE = "img { max-width: 100%; image-rendering: pixelated; }"


def report_page(report: Mapping[str, Any], strip: bytes | None) -> str:
    """Returns the HTML of a report. Names from outside are escaped.

    Args:
        report: what `evaluate` gathers.
        strip: optional PNG of clips and what was made of them.
    """
    parts = [
        facts(report, ("run", "data", "split", "backend", "num_clips")),
        *(_stream(name, report[name]) for name in ("video", "audio") if report[name] is not None),
        "<h2>The class, read where the label is hidden</h2>" + _label(report["label"]),
    ]
    if strip is not None:
        parts.append("<h2>Clips, and rebuilt</h2>" + image(strip, "png", "clips"))
    return page("What is left of the clips", parts, _STYLE)


def _stream(name: str, figures: Mapping[str, Any]) -> str:
    rows = [
        (_WORDS[kind], _decibels(figures["psnr_db"][kind]), _decibels(figures["pooled_psnr_db"][kind]))
        for kind in figures["psnr_db"]
    ]
    heads = ("PSNR", "mean over clips", "of the mean error")
    return f"<h2>{name}, {figures['num_clips']} clips</h2>{table(heads, rows)}{_by_class(figures)}"


def _by_class(figures: Mapping[str, Any]) -> str:
    rows = [
        (name, of_class["num_clips"], *map(_decibels, of_class["pooled_psnr_db"].values()))
        for name, of_class in figures["by_class"].items()
    ]
    heads = ("class", "clips", *(_WORDS[kind] for kind in figures["pooled_psnr_db"]))
    summary = "<summary>PSNR of the mean error of each class</summary>"
    return f"<details>{summary}{table(heads, rows)}</details>"


def _decibels(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.2f} dB"


def _label(figures: Mapping[str, float]) -> str:
    words = {
        "top1_accuracy": "right at once",
        "top5_accuracy": "among the best five",
        "most_frequent_class": "share of the most frequent class",
    }
    return table(("", "share of clips"), [(words[name], percent(figures[name])) for name in words])
