"""The report of an evaluation as one HTML page that needs no other file."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from typing import Any

_WORDS = {
    "model": "rebuilt by the model",
    "mean_frame": "mean frame of the training clips",
    "own_mean_frame": "each clip's own mean frame",
    "silence": "silence",
}
_STYLE = """
body { max-width: 1000px; margin: 40px auto; padding: 0 20px; color: #22262c;
       font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: 26px; } h2 { font-size: 18px; margin-top: 32px; }
.soft { color: #667080; font-size: 13px; overflow-wrap: anywhere; }
table { border-collapse: collapse; } td, th { padding: 4px 20px 4px 0; text-align: left; }
img { max-width: 100%; image-rendering: pixelated; }
"""


def report_page(report: Mapping[str, Any], strip: bytes | None) -> str:
    """Returns the HTML of a report. Names from outside are escaped.

    Args:
        report: what `evaluate` gathers.
        strip: optional PNG of clips and what was made of them.
    """
    facts = ("run", "data", "split", "backend", "num_clips")
    parts = [
        "<h1>What is left of the clips</h1>",
        f'<p class="soft">{" &middot; ".join(f"{name}: {escape(str(report[name]))}" for name in facts)}</p>',
        *(_stream(name, report[name]) for name in ("video", "audio") if report[name] is not None),
        "<h2>The class, read where the label is hidden</h2>" + _label(report["label"]),
    ]
    if strip is not None:
        data = base64.b64encode(strip).decode("ascii")
        parts.append(f'<h2>Clips, and rebuilt</h2><img alt="clips" src="data:image/png;base64,{data}">')
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Rebuilt clips</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _stream(name: str, figures: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{_WORDS[kind]}</td><td>{figures['psnr_db'][kind]:.2f} dB</td>"
        f"<td>{figures['pooled_psnr_db'][kind]:.2f} dB</td></tr>"
        for kind in figures["psnr_db"]
    )
    head = "<tr><th>PSNR</th><th>mean over clips</th><th>of the mean error</th></tr>"
    return f"<h2>{name}, {figures['num_clips']} clips</h2><table>{head}{rows}</table>"


def _label(figures: Mapping[str, float]) -> str:
    words = {
        "top1_accuracy": "right at once",
        "top5_accuracy": "among the best five",
        "most_frequent_class": "share of the most frequent class",
    }
    rows = "".join(f"<tr><td>{words[name]}</td><td>{100 * figures[name]:.1f} %</td></tr>" for name in words)
    return f"<table>{rows}</table>"
