"""Batches of pairs of frames and their flow, straight from the files of a data set.

Everything is a function of (seed, step): a data set built at `start_step=k` gives, byte for byte, what
another gives after k batches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow as tf

from zorro_keras.applications.optical_flow.config import Config
from zorro_keras.applications.optical_flow.curriculum import Phases
from zorro_keras.applications.pipelines.batch_rows import WHOLE, BatchPart, BatchRows
from zorro_keras.applications.pipelines.batches import (
    evaluation_batches,
    finished,
    mapped,
    training_batches,
)
from zorro_keras.applications.pipelines.flow_augment import augmented, severity_at
from zorro_keras.applications.pipelines.flow_examples import flow_examples
from zorro_keras.applications.pipelines.flow_generated import generate_flow
from zorro_keras.applications.pipelines.flow_sources import read_flow_source
from zorro_keras.applications.pipelines.flow_warp import reversed_pair, scaled_box
from zorro_keras.applications.pipelines.order import evaluation_order, training_order
from zorro_keras.applications.pipelines.source_data import SourceData

Preprocess = Callable[..., tuple]


def default_data(out: str | Path) -> Path:
    """Generates the pairs that `tiny` is made for: 1,500 to train and 200 to test, of 48 x 64 px."""
    generate_flow(out)
    return Path(out)


def open_data(path: str | Path, config: Config) -> SourceData:
    """Opens a data set of flow, whose layout is recognised, and checks that its files are there.

    Args:
        path: str or path, see `read_flow_source`.
        config: `Config`.

    Raises:
        SourceError: if the list cannot be trusted.
    """
    share, seed = config.data.test_fraction, config.training.seed
    return SourceData(read_flow_source(path, test_fraction=share, seed=seed))


def training_dataset(
    data: SourceData,
    config: Config,
    preprocessor: Preprocess,
    *,
    start_step: int = 0,
    faults_path: str | Path | None = None,
    part: BatchPart = WHOLE,
) -> tf.data.Dataset:
    """The endless batches of training.

    The first steps, `plain_fraction` of all, take half as many pairs as a batch holds and show each forward
    and reversed, unchanged but for the place of the crop. After them each pair comes once, changed more and
    more.

    Args:
        data: `SourceData`.
        config: `Config`.
        preprocessor: callable of `({"frames"}, flow, weight)`, batches in pixels.
        start_step: int. The first step to give: 0, or the number of steps already done.
        faults_path: optional path. Faults are appended here.
        part: `BatchPart`. The part of each batch to read and give.

    Returns:
        Infinite dataset of `(x, y, sample_weight)`: `x["frames"]` float32 `(B, 2, Y, X, 3)` and `y` float32
        `(B, Y, X, 2)` as the preprocessor gives them, and `sample_weight` float32 `(B, Y, X)`, 0 where the
        flow is not known.

    Raises:
        SourceError: if the training split is empty.
        ValueError: if `start_step` is negative.
    """
    entries = data.source.split("train")
    if start_step < 0:
        raise ValueError(f"`start_step` must not be negative. Received: start_step={start_step}")
    batch_size, phases = config.training.batch_size, Phases.of(config, data.num_train)
    rows = part.rows(batch_size)

    def pairs_from(position: int, rows: BatchRows) -> tf.data.Dataset:
        order = partial(training_order, len(entries), config.training.seed, rows=rows)
        reading = config.data.reading(data.source.root, faults_path)
        return flow_examples(entries, order, reading, data.faults, start_position=position)

    changed = mapped(
        pairs_from(
            phases.first_changed + max(start_step - phases.plain_steps, 0) * batch_size,
            replace(rows, first_position=phases.first_changed),
        ),
        partial(_changed, config=config, phases=phases),
    )
    batches = training_batches(changed, len(rows))
    if num_plain := max(phases.plain_steps - start_step, 0):
        pairs = rows.divided(2)
        read = pairs.times(2)
        both_ways = mapped(
            pairs_from(start_step * batch_size // 2, pairs), partial(_both_ways, config=config)
        ).unbatch()
        plain = mapped(training_batches(both_ways, len(read)), partial(read.only, rows))
        batches = plain.take(num_plain).concatenate(batches)
    return finished(batches, partial(_finish, preprocessor=preprocessor))


def evaluation_dataset(
    data: SourceData,
    config: Config,
    preprocessor: Preprocess,
    *,
    split: str | None = None,
    faults_path: str | Path | None = None,
) -> tuple[tf.data.Dataset, list[str]]:
    """The batches of one pass over a split: the middle of each pair, for validation while training.

    `zorro-keras evaluate` looks at whole pairs, by tiles.

    Args:
        data: `SourceData`.
        config: `Config`.
        preprocessor: as for `training_dataset`.
        split: "train", "val" or "test"; None is `data.evaluation_split`.
        faults_path: optional path. Faults are appended here.

    Returns:
        A dataset of `(x, y, sample_weight)`, and the ids in its order. `sample_weight` is 0 where flow is not
        known, beyond pairs smaller than the crop, and throughout the blanks that fill up the last batch.

    Raises:
        SourceError: if the split is empty.
    """
    entries = data.source.split(split or data.evaluation_split)
    order = partial(evaluation_order, len(entries))
    examples = flow_examples(entries, order, config.data.reading(data.source.root, faults_path), data.faults)
    seen = mapped(examples, partial(_middle, config=config))
    batches = evaluation_batches(seen, config.training.batch_size, len(entries))
    return finished(batches, partial(_finish, preprocessor=preprocessor)), [entry.id for entry in entries]


def _both_ways(example: dict[str, Any], *, config: Config) -> dict[str, Any]:
    """The pair, then the pair reversed, along a new first axis."""
    forward = _cut(example, config, severity=0.0)
    return tf.nest.map_structure(lambda *values: tf.stack(values), forward, reversed_pair(forward))


def _changed(example: dict[str, Any], *, config: Config, phases: Phases) -> dict[str, Any]:
    done = example["position"] - phases.first_changed
    return _cut(example, config, severity_at(done, phases.ramp))


def _cut(example: dict[str, Any], config: Config, severity: float | tf.Tensor) -> dict[str, Any]:
    pair = {**example, "frames": tf.cast(example["frames"], tf.float32)}
    settings = config.data
    return augmented(
        pair, config.training.seed, example["position"], severity, settings.augmentation, settings.size_px
    )


def _middle(example: dict[str, Any], *, config: Config) -> dict[str, Any]:
    pair = {**example, "frames": tf.cast(example["frames"], tf.float32)}
    corner = (tf.shape(pair["flow"])[:2] - tf.constant(config.data.size_px)) // 2
    return scaled_box(pair, tf.ones(2), tf.maximum(corner, 0), config.data.size_px)


def _finish(batch: dict[str, Any], *, preprocessor: Preprocess) -> tuple:
    weight = tf.cast(batch["valid"], tf.float32)
    return preprocessor({"frames": batch["frames"]}, batch["flow"], weight)
