"""Batches of clips to rebuild, from shards or straight from media files.

Everything is a function of (seed, step): a data set built at `start_step=k` gives, byte for byte, what
another gives after k batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow as tf

from zorro_keras.applications.pipelines.batch_rows import WHOLE, BatchPart
from zorro_keras.applications.pipelines.batches import (
    evaluation_batches,
    finished,
    training_batches,
    with_step,
)
from zorro_keras.applications.pipelines.clip_data import ClipData, clip_examples, open_clip_data
from zorro_keras.applications.pipelines.clip_frames import FrameFit
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.pipelines.order import evaluation_order, training_order
from zorro_keras.applications.pipelines.packed_clips import pack_generated_clips
from zorro_keras.applications.pipelines.presence import zero_absent
from zorro_keras.applications.video_autoencoding.config import TINY, Config
from zorro_keras.applications.video_autoencoding.points import random_points

Preprocess = Callable[[dict[str, Any]], dict[str, Any]]
# Clips that are rebuilt at a time where all points are asked for: 2.4 million numbers each, as published.
WHOLE_BATCH = 16
# Of the clips that `tiny` makes for itself.
DEFAULT_COUNTS = {"count": 480, "test_count": 96}


def default_data(out: str | Path) -> Path:
    """Generates the clips that `tiny` is made for, beside `out` in `clips/`, and packs them into shards."""
    clip = TINY.data.geometry
    packing = {"sample_rate_hz": clip.sample_rate_hz, "shorter_side_px": clip.height_px}
    return pack_generated_clips(out, **DEFAULT_COUNTS, **packing)


def open_data(path: str | Path, config: Config, *, label_names: Sequence[str] | None = None) -> ClipData:
    """Opens a folder of shards, a folder of class folders or a CSV, and checks all of it first.

    Args:
        path: str or path.
        config: `Config`.
        label_names: optional sequence of str. The classes a model was trained on, in its order.

    Raises:
        ShardError, SourceError: if the data cannot be trusted; every bad row is named.
        ConfigError: if clips carry several labels.
    """
    data = open_clip_data(path, label_names=label_names, evaluation_split=config.data.evaluation_split)
    if data.multi_label:
        raise ConfigError(
            "The autoencoder reads one label of each clip. Received: clips with several",
            path=path, stage="config", reason="bad_label",
        )  # fmt: skip
    return data


def training_dataset(
    data: ClipData,
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
        data: `ClipData`.
        config: `Config`.
        preprocessor: `VideoAutoencoderPreprocessor`.
        start_step: int. The first step to give: 0, or the number of steps already done.
        faults_path: optional path. Faults of media read directly are appended here.
        part: `BatchPart`. The part of each batch to read and give, and of its points.
        steps: optional dataset of int64 scalars. The steps to give, in place of those from `start_step` on:
            each as `(step, batch)`. For shards alone.

    Returns:
        Infinite dataset of `(x, y)`: `x` with `audio` `(B, S)`, `image` `(B, F, Y, X, 3)`, `label`
        `(B, 1, K)`, `presence` of audio and image, and `rows`, the points of the step; `y` float32 `(B, K)`.
        A clip that could not be used is absent in every stream.

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
        settings.reading(len(data.label_names), faults_path=faults_path),
        fit,
        start_position=start_step * batch_size,
    )
    finish = partial(_training_batch, config=config, preprocessor=preprocessor, part=part)
    if steps is not None:
        finish = with_step(finish, batch_size)
    return finished(training_batches(examples, len(rows)), finish)


def evaluation_dataset(
    data: ClipData,
    config: Config,
    preprocessor: Preprocess,
    *,
    split: str | None = None,
    num_clips: int | None = None,
    whole: bool = False,
    faults_path: str | Path | None = None,
) -> tuple[tf.data.Dataset, list[str]]:
    """The batches of one pass over a split: the centre of each clip, the label hidden.

    Args:
        data: `ClipData`.
        config: `Config`.
        preprocessor: as for `training_dataset`.
        split: "train", "val" or "test"; None is `data.evaluation_split`.
        num_clips: optional int >= 1. Reads at most so many, drawn evenly from the split; None for all.
        whole: bool. Leaves out `rows`, so that all points are asked for; otherwise those of a batch are the
            same in each pass.
        faults_path: optional path. Faults of media read directly are appended here.

    Returns:
        A dataset of `(x, y, sample_weight)`, and the ids in its order. The last batch is padded:
        `sample_weight` float32 `(B,)` is 0 there, and for clips that could not be used.

    Raises:
        SourceError: if the split is empty.
    """
    clips = data.split(split or data.evaluation_split, num_clips)
    clip, batch_size = config.data.geometry, config.training.batch_size
    if whole:
        batch_size = min(batch_size, WHOLE_BATCH)
    examples = clip_examples(
        data,
        clips,
        partial(evaluation_order, len(clips)),
        config.data.reading(len(data.label_names), faults_path=faults_path),
        FrameFit(clip.height_px, clip.width_px),
    )
    batches = evaluation_batches(examples, batch_size, len(clips))
    finish = partial(_evaluation_batch, config=config, preprocessor=preprocessor, whole=whole)
    return finished(batches, finish), [entry.id for entry in clips]


def _training_batch(
    batch: dict[str, Any], *, config: Config, preprocessor: Preprocess, part: BatchPart
) -> tuple[dict[str, Any], tf.Tensor]:
    points = {
        name: part.rows(config.data.points[name], f"data.{name}_points").of(values)
        for name, values in _points(batch, config).items()
    }
    x = {**_clip(batch, preprocessor), "label": batch["labels"][:, None], "rows": points}
    return x, batch["labels"]


def _evaluation_batch(
    batch: dict[str, Any], *, config: Config, preprocessor: Preprocess, whole: bool
) -> tuple[dict[str, Any], tf.Tensor, tf.Tensor]:
    x = _clip(batch, preprocessor)
    return x if whole else {**x, "rows": _points(batch, config)}, batch["labels"], batch["weight"]


def _clip(batch: dict[str, Any], preprocessor: Preprocess) -> dict[str, Any]:
    """The streams as the model reads them. Ids stay behind: JAX takes no strings."""
    x = preprocessor({name: batch[name] for name in ("audio", "video", "presence")})
    presence = x.pop("presence")
    return {**zero_absent(x, presence), "presence": presence}


def _points(batch: dict[str, Any], config: Config) -> dict[str, tf.Tensor]:
    step = batch["position"][0] // config.training.batch_size
    return random_points(config.training.seed, step, config.data.points, config.num_points)
