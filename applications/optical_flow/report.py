"""The report of an evaluation as one HTML page that needs no other file."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import tensorflow as tf

from zorro_keras.applications.pipelines.flow_pictures import FULL_COLOUR_PX, colour_wheel

_WIDEST_PX = 320
_REGIONS = {
    "all": "all pixels",
    "matched": "seen in both frames",
    "unmatched": "seen in the first only",
    "s0_10": "slower than 10 px",
    "s10_40": "10 to 40 px",
    "s40_plus": "40 px and faster",
}
_STYLE = """
body { max-width: 1060px; margin: 40px auto; padding: 0 20px; color: #22262c;
       font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: 26px; } h2 { font-size: 18px; margin-top: 32px; }
.big { font-size: 34px; font-weight: 650; margin-right: 8px; }
.soft { color: #667080; font-size: 13px; overflow-wrap: anywhere; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: 4px 18px 4px 0; text-align: right; } td:first-child, th:first-child { text-align: left; }
.pair { display: flex; flex-wrap: wrap; gap: 12px; margin-bottom: 4px; }
.pair img { width: 320px; image-rendering: pixelated; }
"""


def report_page(report: Mapping[str, Any], pictures: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    """Returns the HTML of a report. Names from outside are escaped.

    Args:
        report: what `evaluate` gathers.
        pictures: id -> title -> uint8 `(Y, X, 3)`, of the worst pairs.
    """
    facts = ("run", "data", "layout", "split", "backend", "num_pairs")
    parts = [
        "<h1>Where the pixels go</h1>",
        f'<p><span class="big">{report["end_point_error"]:.2f} px</span>end-point error &emsp;'
        f'<span class="big">{_percent(report["fl_all"])}</span>outliers (Fl) &emsp;'
        f'<span class="big">{report["zero_flow_error"]:.2f} px</span>error of seeing no motion</p>',
        f'<p class="soft">{" &middot; ".join(f"{name}: {escape(str(report[name]))}" for name in facts)}</p>',
        "<h2>Region by region</h2>" + _regions(report["regions"]),
        f'<h2>The worst pairs</h2><p class="soft">Colours: direction, full at {FULL_COLOUR_PX:g} px; white '
        f"does not move, black is not known.</p>{_image(colour_wheel(), 'colour wheel')}",
        *(_pair(row, pictures[row["id"]]) for row in report["worst_pairs"]),
    ]
    if report["unusable_pairs"]:
        names = "".join(f"<li>{escape(name)}</li>" for name in report["unusable_pairs"][:50])
        parts.append(f"<h2>Not read: see faults.jsonl of the run; the first 50</h2><ul>{names}</ul>")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Where the pixels go</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _regions(regions: Mapping[str, Mapping[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td>{_REGIONS[name]}</td><td>{region['pixels']:,}</td><td>{_pixels(region['end_point_error'])}</td>"
        f"<td>{_percent(region['fl_all'])}</td><td>{_pixels(region['zero_flow_error'])}</td></tr>"
        for name, region in regions.items()
    )
    heads = ("region", "pixels", "end-point error", "outliers", "of no motion")
    return f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{rows}</table>"


def _pair(row: Mapping[str, Any], pictures: Mapping[str, np.ndarray]) -> str:
    shown = "".join(_image(_small(pixels), title) for title, pixels in pictures.items())
    caption = f"{escape(row['id'])}: {row['end_point_error']:.2f} px; {', '.join(pictures)}"
    return f'<div class="pair">{shown}</div><p class="soft">{caption}</p>'


def _small(pixels: np.ndarray) -> np.ndarray:
    """Every n-th pixel, so that a page stays small; colours are not mixed."""
    step = -(-pixels.shape[1] // _WIDEST_PX)
    return pixels[::step, ::step]


def _image(pixels: np.ndarray, text: str) -> str:
    data = base64.b64encode(tf.io.encode_png(pixels).numpy()).decode("ascii")
    return f'<img alt="{text}" src="data:image/png;base64,{data}">'


def _pixels(value: float | None) -> str:
    return "&ndash;" if value is None else f"{value:.2f} px"


def _percent(value: float | None) -> str:
    return "&ndash;" if value is None else f"{100 * value:.1f}&thinsp;%"
