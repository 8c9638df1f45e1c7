"""Finds the clips of an index that go with a sound, a picture, or both."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zorro_keras.applications.audio_visual_pretraining.clip_embedder import ClipEmbedder
from zorro_keras.applications.audio_visual_pretraining.clip_index import PRESET, ClipIndex, open_index
from zorro_keras.applications.audio_visual_pretraining.pretrainer import AudioVisualPretrainer
from zorro_keras.applications.audio_visual_pretraining.query import partners, question_of
from zorro_keras.applications.audio_visual_pretraining.search_page import search_page
from zorro_keras.applications.pipelines.faults import ConfigError, SourceError
from zorro_keras.applications.pipelines.media import probe
from zorro_keras.applications.training.open_model import open_model
from zorro_keras.applications.training.output_folder import output_folder
from zorro_keras.applications.training.run_folder import write_atomically

_ROWS_AT_ONCE = 65536


def search_index(
    index: str | os.PathLike[str],
    *,
    audio: str | os.PathLike[str] | None = None,
    video: str | os.PathLike[str] | None = None,
    top: int = 10,
    out: str | os.PathLike[str] | None = None,
    console: Console | None = None,
) -> list[dict[str, Any]]:
    """Finds by sound the pictures, by picture the sounds, and by both, as fusion, the clips most alike.

    Prints the hits, and writes them as `hits.json` and `hits.html`.

    Args:
        index: folder that `embed_source` wrote.
        audio, video: optional files, of which the sound and the picture of the centre window are taken.
        top: int >= 1. Hits to show; fewer where the index has fewer clips with what is looked for.
        out: optional folder to write. `NAME_found` in the current folder by default.
        console: where the hits are shown. Standard output by default.

    Returns:
        List of hits, the nearest first: the entries of `ClipIndex.clips` with `likeness`, a cosine in
        [-1, 1], for fusion the mean over its embeddings.

    Raises:
        ConfigError: for arguments out of range, a folder that is no index, or a model that does not compare
            what is asked.
        MediaError: if a file cannot be used, or lacks the stream.
        SourceError: if the index is damaged, or no clip in it has what is looked for.
    """
    files = {name: path for name, path in (("audio", audio), ("video", video)) if path is not None}
    _check(files, top)
    opened = open_index(index)
    pairs = partners(opened.about["heads"], list(files))
    for path in files.values():
        probe(path)  # before the model is loaded
    embedder = ClipEmbedder(open_model(opened.path / PRESET, AudioVisualPretrainer), batch_size=1)
    hits = nearest_clips(opened, question_of(embedder, files), pairs, top)
    name = Path(next(iter(files.values()))).stem
    folder = output_folder(Path(f"{name}_found" if out is None else out))
    asked = {name: os.path.abspath(path) for name, path in files.items()}
    written = {"index": os.path.abspath(index), "asked": asked, "hits": hits}
    write_atomically(folder / "hits.json", json.dumps(written, indent=2, allow_nan=False) + "\n")
    write_atomically(folder / "hits.html", search_page(asked, hits))
    (console or Console()).print(_table(asked, hits, folder))
    return hits


def nearest_clips(
    index: ClipIndex, question: Mapping[str, np.ndarray], pairs: Mapping[str, str], top: int
) -> list[dict[str, Any]]:
    """Returns the clips whose embeddings are most like those of a question, in constant memory.

    Args:
        index: `ClipIndex`.
        question: dict of head to `(E,)`.
        pairs: dict of head of the question to head of the clips.
        top: int >= 1. Clips at most.

    Raises:
        SourceError: if no clip has what is looked for.
    """
    likeness = np.mean([_likeness(index.embeddings[pairs[head]], question[head]) for head in pairs], axis=0)
    likeness = np.where(np.isnan(likeness), -np.inf, likeness)
    best = [int(row) for row in np.argsort(-likeness, kind="stable")[:top] if likeness[row] > -np.inf]
    if not best:
        raise SourceError(
            f"No clip of the index has what is looked for: {list(pairs.values())}.",
            path=index.path, stage="search", reason="empty_source",
            advice="Embed clips that have it.",
        )  # fmt: skip
    return [{**index.clips[row], "likeness": round(float(likeness[row]), 6)} for row in best]


def _likeness(vectors: np.ndarray, question: np.ndarray) -> np.ndarray:
    """The cosine of each row with the question, `(N,)`."""
    starts = range(0, len(vectors), _ROWS_AT_ONCE)
    parts = [np.asarray(vectors[start : start + _ROWS_AT_ONCE]) @ question for start in starts]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _check(files: Mapping[str, Any], top: int) -> None:
    if top < 1:
        raise ConfigError(
            f"`top` must be at least 1. Received: top={top}", stage="search", reason="bad_value"
        )
    if not files:
        raise ConfigError(
            "There must be something to search for. Received: neither audio nor video",
            stage="search", reason="bad_value", advice="Give --audio FILE, --video FILE, or both.",
        )  # fmt: skip


def _table(asked: Mapping[str, str], hits: list[dict[str, Any]], folder: Path) -> Table:
    # Names come from outside: as `Text` they are shown as they are, without markup.
    names = " and ".join(f"{name} of {Path(path).name}" for name, path in asked.items())
    table = Table("", "likeness", "clip", "labels", title=Text(f"Found by {names}, written into {folder}"))
    for rank, hit in enumerate(hits, start=1):
        labels = Text(", ".join(hit["labels"]))
        table.add_row(str(rank), f"{hit['likeness']:.3f}", Text(hit["id"]), labels)
    return table
