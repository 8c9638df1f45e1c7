"""The report of an evaluation as one HTML page that needs no other file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zorro_keras.applications.audio_visual_pretraining.scores import KS, recall_name
from zorro_keras.applications.training.html_page import facts, image, not_read, page, percent, table
from zorro_keras.applications.training.plots import likeness_plot

_LARGEST_DRAWN = 60
_WORDS = {"audio": "the sound", "video": "the picture", "fusion": "fusion"}
_STYLE = "img { max-width: 100%; }"
_RECALL_TEXT = (
    "How often the right one is among so many nearest, of all clips that have both, beside what guessing "
    "would find."
)
_NEIGHBOUR_TEXT = (
    "How often the nearest other clip is of the same class. No label was used in training; guessing finds "
)
_PICTURE_TEXT = (
    "Mean cosine of the sounds of each class (rows) with the pictures of each class (columns), of two clips "
    "that are not the same. A strong diagonal: sound and picture agree on what happens."
)


def report_page(report: Mapping[str, Any]) -> str:
    """Returns the HTML of a report, as `evaluate_run` gathers it. Names from outside are escaped."""
    return page(
        "Which sound and picture belong together",
        [
            facts(report, ("run", "data", "split", "backend", "num_clips", "num_with_both")),
            *_recall(report),
            *_neighbours(report),
            *_classes(report),
            *not_read(report["unusable_clips"]),
        ],
        _STYLE,
    )


def _recall(report: Mapping[str, Any]) -> list[str]:
    rows = []
    for this in _WORDS:
        for other in _WORDS:
            shares = [report["scores"].get(recall_name(this, other, k)) for k in KS]
            if shares[0] is not None:
                number = _number_with(report, this, other)
                chances = (min(k / number, 1.0) for k in KS)
                cells = (f"{percent(a)} ({percent(b)})" for a, b in zip(shares, chances, strict=True))
                rows.append((f"{_WORDS[this]} finds {_WORDS[other]}", number, *cells))
    if not rows:
        return []
    heads = ("", "clips", *(f"among {k} (guessing)" for k in KS))
    return ["<h2>Finding one another</h2>", f'<p class="soft">{_RECALL_TEXT}</p>', table(heads, rows)]


def _number_with(report: Mapping[str, Any], this: str, other: str) -> int:
    """Of how many clips the right one is to be found: fusion is of whatever a clip has."""
    streams = [name for name in (this, other) if name in report["num_with"]]
    return report["num_with_both"] if len(streams) == 2 else report["num_with"][streams[0]]


def _neighbours(report: Mapping[str, Any]) -> list[str]:
    ending = "_neighbours"
    shares = {
        name.removesuffix(ending): share for name, share in report["scores"].items() if name.endswith(ending)
    }
    if not shares:
        return []
    rows = []
    for head, share in shares.items():
        this, other = head.split("_to_")
        rows.append((f"{_WORDS[this]}, as compared with {_WORDS[other]}", percent(share)))
    chance = percent(report["neighbour_chance"])
    return [
        "<h2>Finding one's like</h2>",
        f'<p class="soft">{_NEIGHBOUR_TEXT}{chance}.</p>',
        table(("embedding", "of the same class"), rows),
    ]


def _classes(report: Mapping[str, Any]) -> list[str]:
    matrix, names = report["class_likeness"], report["label_names"]
    if matrix is None or len(names) > _LARGEST_DRAWN:
        return []
    picture = image(likeness_plot(matrix, names).encode(), "svg+xml", "likeness of classes")
    return ["<h2>Class by class</h2>", f'<p class="soft">{_PICTURE_TEXT}</p>', picture]
