"""The report of an evaluation as one HTML page that needs no other file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zorro_keras.applications.training.html_page import facts, image, page, table

WORDS = {
    "model": "told by the model",
    "training_mean": "mean of the training clips, at each place",
    "visible_mean": "mean of what is shown of the clip",
}
_UNITS = {"audio": "samples in [-1, 1]", "video": "pixels in [0, 1]"}
_STYLE = "img { max-width: 100%; image-rendering: pixelated; }"


def report_page(report: Mapping[str, Any], strip: bytes | None) -> str:
    """Returns the HTML of a report. Names from outside are escaped.

    Args:
        report: what `evaluate` gathers.
        strip: optional PNG of clips, what was shown of them, and what was told.
    """
    streams = {name: report[name] for name in _UNITS if report.get(name) is not None}
    parts = [
        facts(report, ("run", "data", "split", "backend", "num_clips", "mask_rate")),
        *(_stream(name, figures) for name, figures in streams.items()),
    ]
    if strip is not None:
        parts.append("<h2>Clips, what was shown, and told</h2>" + image(strip, "png", "clips"))
    return page("What was hidden of the clips", parts, _STYLE)


def _stream(name: str, figures: Mapping[str, Any]) -> str:
    errors = figures["mean_squared_error"]
    rows = [
        (WORDS[kind], "\N{EN DASH}" if error is None else f"{error:.3g}") for kind, error in errors.items()
    ]
    heads = (f"what is hidden, {_UNITS[name]}", "mean squared error")
    return f"<h2>{name}, {figures['num_clips']} clips</h2>{table(heads, rows)}"
