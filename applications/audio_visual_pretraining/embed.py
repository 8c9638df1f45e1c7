"""Embeds every clip of a source into an index."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

import zorro_keras
from zorro_keras.applications.audio_visual_pretraining.clip_embedder import STREAMS, ClipEmbedder
from zorro_keras.applications.audio_visual_pretraining.clip_index import (
    ABOUT,
    CLIPS,
    FAULTS,
    FORMAT,
    PRESET,
    EmbeddingFiles,
    writing_index,
)
from zorro_keras.applications.audio_visual_pretraining.clip_place import place_of
from zorro_keras.applications.audio_visual_pretraining.pretrainer import AudioVisualPretrainer
from zorro_keras.applications.pipelines.clip_data import ClipData, clip_examples, open_unlabelled_clips
from zorro_keras.applications.pipelines.clip_frames import FrameFit
from zorro_keras.applications.pipelines.faults import ConfigError, SourceError
from zorro_keras.applications.pipelines.host_errors import host_errors
from zorro_keras.applications.pipelines.media_reading import MediaReading
from zorro_keras.applications.pipelines.order import evaluation_order
from zorro_keras.applications.training.open_model import open_model
from zorro_keras.applications.training.run_folder import write_atomically


def embed_source(
    source: str | os.PathLike[str],
    index: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str],
    batch_size: int = 32,
    num_workers: int = 2,
    max_bad_fraction: float = 1.0,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Embeds the centre window of every clip of a source, in constant memory.

    A damaged stream of a clip is left out, and so is a clip of which nothing can be read; `faults.jsonl` in
    the index names them.

    Args:
        source: what `read_source` takes, with labels or without, or a folder of shards; all of its splits.
        index: folder to write. An earlier index there is replaced, once the new one is whole.
        model: folder of a run, or of a preset.
        batch_size: int >= 1. Clips that are asked together.
        num_workers: int >= 1. Processes that decode media files.
        max_bad_fraction: float in [0, 1]. Share of bad clips that stops it.
        on_progress: optional function of (clips done, clips in all).

    Returns:
        Dict with `index`, the folder; `num_clips`, `num_with_audio`, `num_with_video` and `num_unreadable`;
        and `coverage`, the same as a sentence.

    Raises:
        ZorroError: if the model or the source cannot be used, no clip can be read, or too many are bad.
    """
    _check(batch_size, num_workers, max_bad_fraction)
    data = open_unlabelled_clips(source)
    clips = [clip for split in data.clips.values() for clip in split]
    task = open_model(model, AudioVisualPretrainer)
    embedder = ClipEmbedder(task, batch_size)
    with writing_index(index) as folder:
        (folder / FAULTS).touch()
        reading = MediaReading(
            embedder.geometry, len(data.origin.label_names), STREAMS, "drop_modality",
            max_bad_fraction, num_workers, faults_path=folder / FAULTS,
        )  # fmt: skip
        presence = _embed(folder, embedder, data, clips, reading, on_progress)
        counts = _counts(presence)
        if counts["num_unreadable"] == len(clips):
            raise _nothing_read(source, folder / FAULTS)
        _write_clips(folder, data, clips, presence)
        task.save_to_preset(str(folder / PRESET))
        about = {
            "format": FORMAT,
            "versions": {"zorro_keras": zorro_keras.__version__, "keras": keras.version()},
            "source": os.path.abspath(source),
            "geometry": embedder.geometry.get_config(),
            "heads": list(embedder.heads),
            **counts,
        }
        write_atomically(folder / ABOUT, json.dumps(about, indent=2) + "\n")
    return {"index": os.fspath(index), **counts, "coverage": _sentence(counts)}


def _embed(
    folder: Path,
    embedder: ClipEmbedder,
    data: ClipData,
    clips: Sequence[Any],
    reading: MediaReading,
    on_progress: Callable[[int, int], None] | None,
) -> np.ndarray:
    """Writes the embeddings of all clips, in their order. Returns which streams each has, bool `(N, 2)`."""
    clip, order = reading.geometry, partial(evaluation_order, len(clips))
    examples = clip_examples(data, clips, order, reading, FrameFit(clip.height_px, clip.width_px))
    files, presence, done = EmbeddingFiles(folder, len(clips)), [], 0
    with host_errors(data.faults):
        for batch in examples.batch(embedder.batch_size).prefetch(1).as_numpy_iterator():
            files.append(embedder(batch))
            presence.append(np.stack([batch["presence"][name] for name in STREAMS], axis=1))
            done += len(presence[-1])
            if on_progress is not None:
                on_progress(done, len(clips))
    return np.concatenate(presence)


def _write_clips(folder: Path, data: ClipData, clips: Sequence[Any], presence: np.ndarray) -> None:
    names = data.origin.label_names
    rows = [
        {
            "id": clip.id,
            "labels": [names[index] for index in clip.label_indices],
            "presence": dict(zip(STREAMS, map(bool, flags), strict=True)),
            **place_of(clip),
        }
        for clip, flags in zip(clips, presence, strict=True)
    ]
    write_atomically(folder / CLIPS, json.dumps(rows) + "\n")


def _counts(presence: np.ndarray) -> dict[str, int]:
    with_audio, with_video = (int(number) for number in presence.sum(axis=0))
    return {
        "num_clips": len(presence),
        "num_with_audio": with_audio,
        "num_with_video": with_video,
        "num_unreadable": int((~presence.any(axis=1)).sum()),
    }


def _sentence(counts: Mapping[str, int]) -> str:
    read = counts["num_clips"] - counts["num_unreadable"]
    said = (
        f"Embedded {read:,} of {counts['num_clips']:,} clips, {counts['num_with_audio']:,} with sound and "
        f"{counts['num_with_video']:,} with pictures."
    )
    return f"{said} {FAULTS} in the index names the others." if counts["num_unreadable"] else said


def _nothing_read(source: str | os.PathLike[str], faults: Path) -> SourceError:
    first = json.loads((faults.read_text(encoding="utf-8").splitlines() or ["{}"])[0])
    return SourceError(
        f"Not one clip of the source could be read. The first: {first.get('message', 'it holds nothing')}",
        path=first.get("path", source), stage="embed", reason="empty_source",
    )  # fmt: skip


def _check(batch_size: int, num_workers: int, max_bad_fraction: float) -> None:
    for name, value, fine, wanted in (
        ("batch_size", batch_size, batch_size >= 1, "at least 1"),
        ("num_workers", num_workers, num_workers >= 1, "at least 1"),
        ("max_bad_fraction", max_bad_fraction, 0.0 <= max_bad_fraction <= 1.0, "within [0, 1]"),
    ):
        if not fine:
            raise ConfigError(
                f"`{name}` must be {wanted}. Received: {name}={value}", stage="embed", reason="bad_value"
            )
