"""What a search found, as one HTML page: pictures are inside, the media are links to where they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from zorro_keras.applications.audio_visual_pretraining.clip_place import sound_file_of
from zorro_keras.applications.audio_visual_pretraining.thumbnail import thumbnail_of
from zorro_keras.applications.training.html_page import image, page

_STYLE = """
.hits { display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: 18px; }
figure { margin: 0; border: 1px solid #e3e6ea; border-radius: 8px; overflow: hidden; }
figure img, .none { display: block; width: 100%; aspect-ratio: 4 / 3; object-fit: cover;
                    background: #eef0f3; }
.none { display: grid; place-items: center; color: #667080; font-size: 13px; }
audio { display: block; width: 100%; height: 34px; }
figcaption { padding: 8px 12px 12px; overflow-wrap: anywhere; font-size: 14px; }
figcaption b { font-variant-numeric: tabular-nums; }
"""
_TITLES = {
    ("audio",): "Pictures that go with a sound",
    ("video",): "Sounds that go with a picture",
    ("audio", "video"): "Clips like a sound and a picture together",
}


def search_page(asked: Mapping[str, str], hits: Sequence[Mapping[str, Any]]) -> str:
    """Returns the HTML of the hits. Names from outside are escaped.

    Args:
        asked: dict of "audio", "video" or both to the path of the file that was asked.
        hits: entries of `ClipIndex.clips` with their `likeness`, the nearest first.
    """
    questions = " and ".join(f"{name} of {_link(path, path)}" for name, path in asked.items())
    figures = "".join(_figure(rank, hit) for rank, hit in enumerate(hits, start=1))
    parts = [f'<p class="soft">Asked: {questions}</p>', f'<div class="hits">{figures}</div>']
    return page(_TITLES[tuple(sorted(asked))], parts, _STYLE)


def _figure(rank: int, hit: Mapping[str, Any]) -> str:
    frame = thumbnail_of(hit)
    shown = '<div class="none">no picture</div>' if frame is None else image(frame, "jpeg", hit["id"])
    name = _link(hit["path"], hit["id"]) if "path" in hit else escape(hit["id"])
    sound, player = sound_file_of(hit), ""
    if sound is not None:
        # A browser plays the sound of a video in it, too.
        player = f'<audio controls preload="none" src="{_address(sound, hit)}"></audio>'
    labels = f'<div class="soft">{escape(", ".join(hit["labels"]))}</div>' if hit["labels"] else ""
    said = f"<b>{rank}. {hit['likeness']:.3f}</b> {name}{labels}"
    return f"<figure>{shown}{player}<figcaption>{said}</figcaption></figure>"


def _link(path: str, text: str) -> str:
    return f'<a href="{_address(path)}">{escape(text)}</a>'


def _address(path: str, clip: Mapping[str, Any] | None = None) -> str:
    """The address of a file, and of the part of it that a clip is."""
    address = escape(Path(path).as_uri())
    start, end = (None, None) if clip is None else (clip["start_seconds"], clip["end_seconds"])
    if start is None and end is None:
        return address
    return f"{address}#t={start or 0}" + ("" if end is None else f",{end}")
