"""Batches of sound and picture; labels, where there are any, are for the probe alone.

Everything is a function of (seed, step): a data set built at `start_step=k` gives, byte for byte, what
another gives after k batches.
"""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from zorro_keras.applications.audio_visual_pretraining.config import Config
from zorro_keras.applications.pipelines.batch_rows import WHOLE, BatchPart
from zorro_keras.applications.pipelines.clip_data import UnlabelledClips, open_unlabelled_clips
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.pipelines.packed_clips import pack_generated_clips
from zorro_keras.applications.training import clip_batches

# Of the clips that the task makes for itself: those of `zorro-keras demo`.
DEFAULT_COUNTS = {"count": 960, "test_count": 320}


def default_data(out: str | Path) -> Path:
    """Generates the clips that `tiny` is made for, and packs them into shards."""
    return pack_generated_clips(out, **DEFAULT_COUNTS)


def open_data(path: str | Path, config: Config) -> UnlabelledClips:
    """Opens a folder of shards or a source, with labels or without, and checks all of it first.

    Raises:
        ShardError, SourceError: if the data cannot be trusted; every bad row is named.
    """
    return open_unlabelled_clips(path, evaluation_split=config.data.evaluation_split)


def training_dataset(
    data: UnlabelledClips,
    config: Config,
    preprocessor: clip_batches.Preprocess,
    *,
    start_step: int = 0,
    faults_path: str | Path | None = None,
    part: BatchPart = WHOLE,
    steps: tf.data.Dataset | None = None,
) -> tf.data.Dataset:
    """The endless batches of training: dicts of `audio`, `video` and `presence`.

    Args:
        data: what `open_data` returns.
        config, preprocessor, start_step, faults_path, part, steps: as for `clip_batches.training_dataset`.

    Raises:
        SourceError: if the training split is empty.
        ConfigError: if it has fewer clips than a batch, in each of which some would be told from themselves.
            Where a pass over the clips ends and the next begins, any batch may, rarely, hold one twice.
        ValueError: if `start_step` is negative.
    """
    num_train, batch_size = len(data.split("train")), config.training.batch_size
    if num_train < batch_size:
        raise ConfigError(
            f"`training.batch_size` must be at most the number of training clips, {num_train}: in a larger "
            f"batch some would be told from themselves. Received: training.batch_size={batch_size}",
            stage="config", reason="bad_value",
        )  # fmt: skip
    batches = clip_batches.training_dataset(
        data, config, preprocessor, start_step=start_step, faults_path=faults_path, part=part, steps=steps
    )
    if steps is not None:
        return batches.map(lambda step, batch: (step, batch[0]))
    return batches.map(lambda x, _: x)


def evaluation_dataset(
    data: UnlabelledClips,
    config: Config,
    preprocessor: clip_batches.Preprocess,
    *,
    split: str | None = None,
    faults_path: str | Path | None = None,
) -> tuple[tf.data.Dataset, list[str]]:
    """The batches of one pass over a split, without anything random, clips of all kinds in each of them.

    Args:
        data: what `open_data` returns.
        config, preprocessor, split, faults_path: as for `clip_batches.evaluation_dataset`.

    Returns:
        A dataset of `(x, y, sample_weight)`, `y` a dict of `labels` `(B, K)` and `presence`, and the ids in
        its order.

    Raises:
        SourceError: if the split is empty.
    """
    dataset, ids = clip_batches.evaluation_dataset(
        data, config, preprocessor, split=split, faults_path=faults_path, mixed=True
    )
    return dataset.map(lambda x, y, w: (x, {"labels": y, "presence": x["presence"]}, w)), ids
