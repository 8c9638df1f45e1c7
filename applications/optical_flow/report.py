"""The report of an evaluation as one HTML page that needs no other file."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import tensorflow as tf

from zorro_keras.applications.pipelines.flow_pictures import FULL_COLOUR_PX, colour_wheel
from zorro_keras.applications.training.html_page import facts, image, not_read, page, percent, table

_WIDEST_PX = 320
_REGIONS = {
    "all": "all pixels",
    "matched": "seen in both frames",
    "unmatched": "seen in the first only",
    "s0_10": "slower than 10 px",
    "s10_40": "10 to 40 px",
    "s40_plus": "40 px and faster",
}
_HEADS = ("pixels", "end-point error", "outliers", "of no motion")
_STYLE = """
td, th { text-align: right; } td:first-child, th:first-child { text-align: left; }
.pair { display: flex; flex-wrap: wrap; gap: 12px; margin-bottom: 4px; }
.pair img { width: 320px; image-rendering: pixelated; }
"""


def report_page(report: Mapping[str, Any], pictures: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    """Returns the HTML of a report. Names from outside are escaped.

    Args:
        report: what `evaluate` gathers.
        pictures: id -> title -> uint8 `(Y, X, 3)`, of the worst pairs.
    """
    parts = [
        f'<p><span class="big">{_pixels(report["end_point_error"])}</span>end-point error &emsp;'
        f'<span class="big">{percent(report["fl_all"])}</span>outliers (Fl) &emsp;'
        f'<span class="big">{_pixels(report["zero_flow_error"])}</span>error of seeing no motion</p>',
        f"<p>Mean of the pairs' own end-point errors, as published for KITTI: "
        f"{_pixels(report['mean_of_pairs'])}</p>",
        facts(report, ("run", "data", "layout", "split", "backend", "num_pairs")),
        *_passes(report["passes"]),
        "<h2>Region by region</h2>" + _regions(report["regions"]),
        f'<h2>The worst pairs</h2><p class="soft">Colours: direction, full at {FULL_COLOUR_PX:g} px; white '
        f"does not move, black is not known.</p>{_image(colour_wheel(), 'colour wheel')}",
        *(_pair(row, pictures[row["id"]]) for row in report["worst_pairs"]),
        *not_read(report["unusable_pairs"]),
    ]
    return page("Where the pixels go", parts, _STYLE)


def _passes(passes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    if not passes:
        return []
    rows = [
        (name, figures["num_pairs"], *_cells(figures), _pixels(figures["mean_of_pairs"]))
        for name, figures in passes.items()
    ]
    return ["<h2>Pass by pass</h2>" + table(("pass", "pairs", *_HEADS, "mean of pairs"), rows)]


def _regions(regions: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [(_REGIONS[name], *_cells(region)) for name, region in regions.items()]
    return table(("region", *_HEADS), rows)


def _cells(figures: Mapping[str, Any]) -> tuple[str, ...]:
    """What stands below `_HEADS`."""
    return (
        f"{figures['pixels']:,}",
        _pixels(figures["end_point_error"]),
        percent(figures["fl_all"]),
        _pixels(figures["zero_flow_error"]),
    )


def _pair(row: Mapping[str, Any], pictures: Mapping[str, np.ndarray]) -> str:
    shown = "".join(_image(_small(pixels), title) for title, pixels in pictures.items())
    caption = f"{escape(row['id'])}: {row['end_point_error']:.2f} px; {', '.join(pictures)}"
    return f'<div class="pair">{shown}</div><p class="soft">{caption}</p>'


def _small(pixels: np.ndarray) -> np.ndarray:
    """Every n-th pixel, so that a page stays small; colours are not mixed."""
    step = -(-pixels.shape[1] // _WIDEST_PX)
    return pixels[::step, ::step]


def _image(pixels: np.ndarray, text: str) -> str:
    return image(tf.io.encode_png(pixels).numpy(), "png", text)


def _pixels(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.2f} px"
