"""The report of an evaluation as one HTML page that needs no other file."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import tensorflow as tf

from zorro_keras.applications.pipelines.faults import ZorroError
from zorro_keras.applications.pipelines.image_decode import decode_image, read_bytes
from zorro_keras.applications.pipelines.image_sources import ImageEntry
from zorro_keras.applications.training.html_page import facts, image, not_read, page, percent, table
from zorro_keras.applications.training.plots import confusion_plot

_THUMBNAIL_PX = 128
_LARGEST_CONFUSION = 200  # classes; a plot of more shows nothing
_STYLE = """
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
    parts = [
        f'<p><span class="big">{percent(report["top1_accuracy"])}</span>top 1 &emsp;'
        f'<span class="big">{percent(report["top5_accuracy"])}</span>top 5</p>',
        facts(report, ("run", "data", "split", "backend", "num_images")),
        "<h2>Class by class</h2>" + _classes(report),
    ]
    if len(report["label_names"]) <= _LARGEST_CONFUSION:
        plot = confusion_plot({"per cent of each true class": report["confusion"]}, report["label_names"])
        parts.append(f"<h2>What is taken for what</h2>{image(plot.encode(), 'svg+xml', 'confusion')}")
    worst = "".join(_figure(row, entries[row["id"]]) for row in report["worst_images"])
    parts.append(f"<h2>The pictures whose true class gets the least probability</h2>{worst}")
    parts += not_read(report["unusable_images"])
    return page("What the pictures show", parts, _STYLE)


def _classes(report: Mapping[str, Any]) -> str:
    rows = [(row["label"], row["num_images"], percent(row["accuracy"])) for row in report["classes"]]
    return table(("class", "pictures", "recognised"), rows)


def _figure(row: Mapping[str, Any], entry: ImageEntry) -> str:
    text = (
        f"{escape(row['true'])} ({percent(row['true_probability'])}), taken for {escape(row['predicted'])} "
        f"({percent(row['predicted_probability'])})<br>"
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
    return image(tf.io.encode_jpeg(tf.cast(tf.round(small), tf.uint8)).numpy(), "jpeg", "picture")
