"""Batches of clips to hide and tell, from shards or straight from media files. Nobody reads their labels.

Everything is a function of (seed, step): a data set built at `start_step=k` gives, byte for byte, what
another gives after k batches.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow as tf

from zorro_keras.applications.masked_autoencoding.config import TINY, Config
from zorro_keras.applications.pipelines.batch_rows import WHOLE, BatchPart
from zorro_keras.applications.pipelines.batches import (
    evaluation_batches,
    finished,
    training_batches,
    with_step,
)
from zorro_keras.applications.pipelines.clip_data import UnlabelledClips, clip_examples, open_unlabelled_clips
from zorro_keras.applications.pipelines.clip_frames import FrameFit
from zorro_keras.applications.pipelines.order import evaluation_order, training_order
from zorro_keras.applications.pipelines.packed_clips import pack_generated_clips
from zorro_keras.applications.pipelines.presence import zero_absent

Preprocess = Callable[[dict[str, Any]], dict[str, Any]]
# Of the clips that `tiny` makes for itself.
DEFAULT_COUNTS = {"count": 480, "test_count": 96}


def default_data(out: str | Path) -> Path:
    """Generates the clips that `tiny` is made for, beside `out` in `clips/`, and packs them into shards."""
    clip = TINY.data.geometry
    packing = {"sample_rate_hz": clip.sample_rate_hz, "shorter_side_px": clip.height_px}
    return pack_generated_clips(out, **DEFAULT_COUNTS, **packing)


def open_data(path: str | Path, config: Config) -> UnlabelledClips:
    """Opens a folder of shards or a source, with labels or without, and checks all of it first.

    Raises:
        ShardError, SourceError: if the data cannot be trusted; every bad row is named.
    """
    return open_unlabelled_clips(path, evaluation_split=config.data.evaluation_split)


def training_dataset(
    data: UnlabelledClips,
    config: Config,
    preprocessor: Preprocess,
    *,
    start_step: int = 0,
    faults_path: str | Path | None = None,
    part: BatchPart = WHOLE,
    steps: tf.data.Dataset | None = None,
) -> tf.data.Dataset:
    """The endless batches of training.

    Args:
        data: what `open_data` returns.
        config: `Config`.
        preprocessor: `MaskedClipPreprocessor`.
        start_step: int. The first step to give: 0, or the number of steps already done.
        faults_path: optional path. Faults of media read directly are appended here.
        part: `BatchPart`. The part of each batch to read and give.
        steps: optional dataset of int64 scalars. The steps to give, in place of those from `start_step` on:
            each as `(step, batch)`. For shards alone.

    Returns:
        Infinite dataset of dicts with `audio` `(B, S)`, `video` `(B, F, Y, X, 3)` and `presence` of both. A
        clip that could not be used is absent in both.

    Raises:
        SourceError: if the training split is empty.
        ValueError: if `start_step` is negative.
    """
    clips, batch_size = data.split("train"), config.training.batch_size
    rows = part.rows(batch_size)
    clip, settings = config.data.geometry, config.data
    fit = FrameFit(
        clip.height_px, clip.width_px, config.training.seed, settings.zoom, flip_rate=settings.flip_rate
    )
    examples = clip_examples(
        data,
        clips,
        partial(training_order, len(clips), config.training.seed, rows=rows, steps=steps),
        settings.reading(len(data.origin.label_names), faults_path=faults_path),
        fit,
        start_position=start_step * batch_size,
    )
    finish = partial(_streams, preprocessor=preprocessor)
    if steps is not None:
        finish = with_step(finish, batch_size)
    return finished(training_batches(examples, len(rows)), finish)


def evaluation_dataset(
    data: UnlabelledClips,
    config: Config,
    preprocessor: Preprocess,
    *,
    split: str | None = None,
    num_clips: int | None = None,
    faults_path: str | Path | None = None,
) -> tuple[tf.data.Dataset, list[str]]:
    """The batches of one pass over a split: the centre of each clip.

    Args:
        data: what `open_data` returns.
        config: `Config`.
        preprocessor: as for `training_dataset`.
        split: "train", "val" or "test"; None is `data.evaluation_split`.
        num_clips: optional int >= 1. Reads at most so many, drawn evenly from the split; None for all.
        faults_path: optional path. Faults of media read directly are appended here.

    Returns:
        A dataset of batches as in training, and the ids in its order. The last batch is filled up with blanks
        in which, as in clips that could not be used, both streams are absent.

    Raises:
        SourceError: if the split is empty.
    """
    clips = data.split(split or data.evaluation_split, num_clips)
    clip = config.data.geometry
    examples = clip_examples(
        data,
        clips,
        partial(evaluation_order, len(clips)),
        config.data.reading(len(data.origin.label_names), faults_path=faults_path),
        FrameFit(clip.height_px, clip.width_px),
    )
    batches = evaluation_batches(examples, config.training.batch_size, len(clips))
    return finished(batches, partial(_streams, preprocessor=preprocessor)), [entry.id for entry in clips]


def _streams(batch: dict[str, Any], *, preprocessor: Preprocess) -> dict[str, Any]:
    """The streams as the model reads them. Ids stay behind: JAX takes no strings."""
    x = preprocessor({name: batch[name] for name in ("audio", "video", "presence")})
    presence = x.pop("presence")
    return {**zero_absent(x, presence), "presence": presence}
