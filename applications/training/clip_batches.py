"""Batches of sound, picture and labels, from shards or straight from media files.

Everything is a function of (seed, step): a data set built at `start_step=k` gives, byte for byte, what
another gives after k batches.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from zorro_keras.applications.pipelines.augment_audio import spec_augment
from zorro_keras.applications.pipelines.batch_rows import WHOLE, BatchPart, BatchRows
from zorro_keras.applications.pipelines.batches import (
    evaluation_batches,
    finished,
    training_batches,
    with_step,
)
from zorro_keras.applications.pipelines.clip_data import ClipData, clip_examples
from zorro_keras.applications.pipelines.clip_frames import FrameFit
from zorro_keras.applications.pipelines.clip_labels import class_balance
from zorro_keras.applications.pipelines.mixed_order import in_mixed_order
from zorro_keras.applications.pipelines.mixing import mixup
from zorro_keras.applications.pipelines.order import Draw, draw_seed, evaluation_order, training_order
from zorro_keras.applications.pipelines.presence import drop_modality, zero_absent
from zorro_keras.applications.training.clip_data_config import AugmentationConfig

Preprocess = Callable[[dict[str, Any]], dict[str, Any]]


def training_dataset(
    data: ClipData,
    config: Any,
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
        config: with `data` a `DataConfig`, `model` a `ClipModelConfig`, and `training`.
        preprocessor: callable on a batch dict `audio` float32 `(B, samples)`, `video` uint8 `(B, F, Y, X,
            3)`, `presence`; gives the same names as the model reads them.
        start_step: int. The first step to give: 0, or the number of steps already done.
        faults_path: optional path. Faults of media read directly are appended here.
        part: `BatchPart`. The part of each batch to read and give. Mixup reads one row more, the partner of
            the first.
        steps: optional dataset of int64 scalars. The steps to give, in place of those from `start_step` on:
            each as `(step, batch)`. For shards alone.

    Returns:
        Infinite dataset of `(x, y)`: `x` as the preprocessor gives it, with `presence` a dict of bool `(B,)`,
        and `y` float32 `(B, K)`. A clip that could not be used is absent in every stream.

    Raises:
        SourceError: if the training split is empty.
        ValueError: if `start_step` is negative.
    """
    clips = data.split("train")
    batch_size = config.training.batch_size
    rows = part.rows(batch_size)
    read = rows.with_partners() if config.data.augmentation.mixup_alpha else rows
    order = partial(
        training_order,
        len(clips),
        config.training.seed,
        weights=_weights(data, config),
        rows=read,
        steps=steps,
    )
    examples = clip_examples(
        data,
        clips,
        order,
        config.data.reading(len(data.origin.label_names), config.data.streams, faults_path),
        _random_fit(config),
        start_position=start_step * batch_size,
    )
    finish = partial(_training_batch, config=config, preprocessor=preprocessor, read=read, rows=rows)
    if steps is not None:
        finish = with_step(finish, batch_size)
    return finished(training_batches(examples, len(read)), finish)


def evaluation_dataset(
    data: ClipData,
    config: Any,
    preprocessor: Preprocess,
    *,
    split: str | None = None,
    faults_path: str | Path | None = None,
    mixed: bool = False,
) -> tuple[tf.data.Dataset, list[str]]:
    """The batches of one pass over a split, without anything random.

    Args:
        data: `ClipData`.
        config: as for `training_dataset`. With `data.test_clips` = n, each clip gives n windows in a row.
        preprocessor: as for `training_dataset`.
        split: "train", "val" or "test"; None is `data.evaluation_split`.
        faults_path: optional path. Faults of media read directly are appended here.
        mixed: bool. Clips come in the order of a hash of their ids. Class folders list one class after
            another, so that a batch in the order of the source may hold one class alone.

    Returns:
        A dataset of `(x, y, sample_weight)`, and the ids in its order, each n times. The last batch is
        padded: `sample_weight` float32 `(B,)` is 0 there, and for clips that could not be used.

    Raises:
        SourceError: if the split is empty.
    """
    clips = data.split(split or data.evaluation_split)
    if mixed:
        clips = in_mixed_order(clips)
    num_windows, geometry = config.data.test_clips, config.data.geometry
    examples = clip_examples(
        data,
        clips,
        partial(evaluation_order, len(clips), num_clips=num_windows),
        config.data.reading(len(data.origin.label_names), config.data.streams, faults_path),
        FrameFit(geometry.height_px, geometry.width_px),
        windows_per_clip=num_windows,
    )
    finish = partial(_evaluation_batch, preprocessor=preprocessor)
    batches = evaluation_batches(examples, config.training.batch_size, len(clips) * num_windows)
    return finished(batches, finish), [clip.id for clip in clips for _ in range(num_windows)]


def _weights(data: ClipData, config: Any) -> np.ndarray | None:
    """How often training shows each clip beside the others; None for all alike."""
    if not config.data.class_balance:
        return None
    return class_balance([clip.label_indices for clip in data.split("train")], len(data.origin.label_names))


def _training_batch(
    batch: dict[str, Any], *, config: Any, preprocessor: Preprocess, read: BatchRows, rows: BatchRows
) -> tuple[dict[str, Any], tf.Tensor]:
    seed, augmentation = config.training.seed, config.data.augmentation
    step = batch["position"][0] // config.training.batch_size
    x, presence, labels = _preprocessed(batch, preprocessor), batch["presence"], batch["labels"]
    if any(augmentation.dropout_rates.values()):
        dropout_seed = draw_seed(seed, step, Draw.MODALITY_DROPOUT)
        presence = drop_modality(presence, dropout_seed, rate=augmentation.dropout_rates, rows=read)
    if "audio" in x and config.model.waveform_patch is None:
        x = {**x, "audio": _hide(x["audio"], seed, step, augmentation, read)}
    x = zero_absent(x, presence)
    if augmentation.mixup_alpha:
        mixup_seed = draw_seed(seed, step, Draw.MIXUP)
        x, labels = mixup(x, presence, labels, mixup_seed, alpha=augmentation.mixup_alpha, rows=read)
    return read.only(rows, ({**x, "presence": presence}, labels))


def _evaluation_batch(
    batch: dict[str, Any], *, preprocessor: Preprocess
) -> tuple[dict[str, Any], tf.Tensor, tf.Tensor]:
    x = zero_absent(_preprocessed(batch, preprocessor), batch["presence"])
    return {**x, "presence": batch["presence"]}, batch["labels"], batch["weight"]


def _preprocessed(batch: dict[str, Any], preprocessor: Preprocess) -> dict[str, tf.Tensor]:
    """The streams as the model reads them. Ids stay behind: JAX takes no strings."""
    presence = batch["presence"]
    x = preprocessor({**{stream: batch[stream] for stream in presence}, "presence": presence})
    return {stream: x[stream] for stream in presence}


def _hide(
    log_mel: tf.Tensor, seed: int, step: tf.Tensor, augmentation: AugmentationConfig, rows: BatchRows
) -> tf.Tensor:
    return spec_augment(
        log_mel,
        draw_seed(seed, step, Draw.FREQUENCY_MASK),
        draw_seed(seed, step, Draw.TIME_MASK),
        num_frequency_masks=augmentation.num_frequency_masks,
        frequency_width_bins=augmentation.frequency_mask_bins,
        num_time_masks=augmentation.num_time_masks,
        time_width_frames=augmentation.time_mask_frames,
        provider=augmentation.spec_augment_provider,
        rows=rows,
    )


def _random_fit(config: Any) -> FrameFit:
    clip, augmentation = config.data.geometry, config.data.augmentation
    return FrameFit(
        clip.height_px,
        clip.width_px,
        seed=config.training.seed,
        zoom=augmentation.zoom,
        flip_rate=augmentation.flip_rate,
        colour_rate=augmentation.colour_rate,
        grey_rate=augmentation.grey_rate,
    )
