"""The report of an evaluation as one HTML page that needs no other file."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from typing import Any

import tensorflow as tf

from zorro_keras.applications.pipelines.faults import ZorroError
from zorro_keras.applications.pipelines.image_decode import decode_image, read_bytes
from zorro_keras.applications.pipelines.image_sources import ImageEntry
from zorro_keras.applications.training.plots import confusion_plot

_THUMBNAIL_PX = 128
_LARGEST_CONFUSION = 200  # classes; a plot of more shows nothing
_STYLE = """
body { max-width: 1000px; margin: 40px auto; padding: 0 20px; color: #22262c;
       font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: 26px; } h2 { font-size: 18px; margin-top: 32px; }
.big { font-size: 34px; font-weight: 650; margin-right: 28px; }
.soft { color: #667080; font-size: 13px; overflow-wrap: anywhere; }
table { border-collapse: collapse; } td, th { padding: 4px 14px 4px 0; text-align: left; }
figure { display: inline-block; width: 140px; margin: 0 12px 16px 0; vertical-align: top; }
figure img { width: 128px; height: 128px; object-fit: contain; background: #f2f3f5; }
figcaption { font-size: 12px; overflow-wrap: anywhere; }
"""


def report_page(report: Mapping[str, Any], entries: Mapping[str, ImageEntry]) -> str:
    """Returns the HTML of a report. Names from outside are escaped.

    Args:
        report: what `evaluate` gathers.
        entries: the pictures by id, to show the worst.
    """
    facts = ("run", "data", "split", "backend", "num_images")
    parts = [
        "<h1>What the pictures show</h1>",
        f'<p><span class="big">{_percent(report["top1_accuracy"])}</span>top 1 &emsp;'
        f'<span class="big">{_percent(report["top5_accuracy"])}</span>top 5</p>',
        f'<p class="soft">{" &middot; ".join(f"{name}: {escape(str(report[name]))}" for name in facts)}</p>',
        "<h2>Class by class</h2>" + _classes(report),
    ]
    if len(report["label_names"]) <= _LARGEST_CONFUSION:
        plot = confusion_plot({"per cent of each true class": report["confusion"]}, report["label_names"])
        parts.append(f"<h2>What is taken for what</h2>{_image(plot.encode(), 'svg+xml', 'confusion')}")
    worst = "".join(_figure(row, entries[row["id"]]) for row in report["worst_images"])
    parts.append(f"<h2>The pictures whose true class gets the least probability</h2>{worst}")
    if report["unusable_images"]:
        names = "".join(f"<li>{escape(name)}</li>" for name in report["unusable_images"][:50])
        parts.append(f"<h2>Not read: see faults.jsonl of the run; the first 50</h2><ul>{names}</ul>")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>What the pictures show</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _classes(report: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(row['label'])}</td><td>{row['num_images']}</td>"
        f"<td>{'&ndash;' if row['accuracy'] is None else _percent(row['accuracy'])}</td></tr>"
        for row in report["classes"]
    )
    return f"<table><tr><th>class</th><th>pictures</th><th>recognised</th></tr>{rows}</table>"


def _figure(row: Mapping[str, Any], entry: ImageEntry) -> str:
    text = (
        f"{escape(row['true'])} ({_percent(row['true_probability'])}), taken for {escape(row['predicted'])} "
        f"({_percent(row['predicted_probability'])})<br>"
        f'<span class="soft">{escape(row["id"])}</span>'
    )
    return f"<figure>{_thumbnail(entry)}<figcaption>{text}</figcaption></figure>"


def _thumbnail(entry: ImageEntry) -> str:
    try:
        num_bytes = None if entry.offset is None else entry.num_bytes
        data = read_bytes(entry.path, offset=entry.offset or 0, num_bytes=num_bytes)
        pixels = decode_image(data, entry.path).pixels
    except ZorroError:  # it was there a moment ago; its caption still says what it was
        return ""
    small = tf.image.resize(pixels, [_THUMBNAIL_PX] * 2, preserve_aspect_ratio=True, antialias=True)
    return _image(tf.io.encode_jpeg(tf.cast(tf.round(small), tf.uint8)).numpy(), "jpeg", "picture")


def _image(data: bytes, kind: str, text: str) -> str:
    return f'<img alt="{text}" src="data:image/{kind};base64,{base64.b64encode(data).decode("ascii")}">'


def _percent(value: float) -> str:
    return f"{100 * value:.1f}&thinsp;%"
