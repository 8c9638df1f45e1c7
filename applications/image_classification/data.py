"""Batches of pictures and labels, straight from image files or from ImageNet's tars.

Everything is a function of (seed, step): a data set built at `start_step=k` gives, byte for byte, what
another gives after k batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow as tf

from zorro_keras.applications.image_classification.config import Config
from zorro_keras.applications.pipelines.batch_rows import WHOLE, BatchPart, BatchRows
from zorro_keras.applications.pipelines.batches import (
    evaluation_batches,
    finished,
    mapped,
    training_batches,
)
from zorro_keras.applications.pipelines.image_crops import (
    ImageDraw,
    cut,
    evaluation_image,
    inception_crop_box,
    random_flip,
    resize,
)
from zorro_keras.applications.pipelines.image_examples import image_examples
from zorro_keras.applications.pipelines.image_generated import generate_images
from zorro_keras.applications.pipelines.image_mixing import mix_pairs
from zorro_keras.applications.pipelines.image_rand_augment import rand_augment
from zorro_keras.applications.pipelines.image_sources import read_image_source
from zorro_keras.applications.pipelines.order import draw_seed, evaluation_order, training_order
from zorro_keras.applications.pipelines.source_data import SourceData

Preprocess = Callable[[dict[str, Any]], dict[str, Any]]


class ImageData(SourceData):
    """Opened pictures: `SourceData`, and what they may show."""

    @property
    def label_names(self) -> tuple[str, ...]:
        """The classes; index k is class k."""
        return self.source.label_names

    @property
    def ignored(self) -> tuple[str, ...]:
        """Files beside the pictures that count for nothing."""
        return self.source.ignored


def default_data(out: str | Path) -> Path:
    """Generates the pictures that `tiny` is made for: 3,000 to train and 500 to test, of ten forms."""
    generate_images(out)
    return Path(out)


def open_data(path: str | Path, config: Config, *, label_names: Sequence[str] | None = None) -> ImageData:
    """Opens ImageNet, a folder of class folders or a CSV, and checks the list of pictures.

    Args:
        path: str or path, see `read_image_source`.
        config: `Config`.
        label_names: optional sequence of str. The classes a model was trained on, in its order.

    Raises:
        SourceError: if the list cannot be trusted; every bad row is named.
    """
    seed, share = config.training.seed, config.data.test_fraction
    return ImageData(read_image_source(path, label_names=label_names, test_fraction=share, seed=seed))


def training_dataset(
    data: ImageData,
    config: Config,
    preprocessor: Preprocess,
    *,
    start_step: int = 0,
    faults_path: str | Path | None = None,
    part: BatchPart = WHOLE,
) -> tf.data.Dataset:
    """The endless batches of training.

    Where pictures are mixed, a batch of B takes the next 2 B of the order.

    Args:
        data: `ImageData`.
        config: `Config`.
        preprocessor: callable on a dict with `image`, float32 `(B, size_px, size_px, 3)` in about [0, 255].
        start_step: int. The first step to give: 0, or the number of steps already done.
        faults_path: optional path. Faults are appended here.
        part: `BatchPart`. The part of each batch to read and give.

    Returns:
        Infinite dataset of `(x, y, sample_weight)`: `x["image"]` as the preprocessor gives it, `y` float32
        `(B, K)`, and `sample_weight` float32 `(B,)`, 0 for a picture that could not be used.

    Raises:
        SourceError: if the training split is empty.
        ValueError: if `start_step` is negative.
    """
    entries = data.source.split("train")
    rows = part.rows(config.training.batch_size)
    read = rows.times(2 if config.data.augmentation.mixes else 1)
    examples = image_examples(
        entries,
        partial(training_order, len(entries), config.training.seed, rows=read),
        config.data.reading(data.source.root, faults_path),
        data.faults,
        num_classes=len(data.label_names),
        start_position=start_step * read.batch_size,
    )
    augmented = mapped(examples, partial(_augmented, config=config))
    finish = partial(_training_batch, config=config, preprocessor=preprocessor, read=read, rows=rows)
    return finished(training_batches(augmented, len(read)), finish)


def evaluation_dataset(
    data: ImageData,
    config: Config,
    preprocessor: Preprocess,
    *,
    split: str | None = None,
    batch_size: int | None = None,
    faults_path: str | Path | None = None,
) -> tuple[tf.data.Dataset, list[str]]:
    """The batches of one pass over a split, without anything random.

    Args:
        data: `ImageData`.
        config: `Config`.
        preprocessor: as for `training_dataset`.
        split: "train", "val" or "test"; None is `data.evaluation_split`.
        batch_size: optional int. That of the training by default.
        faults_path: optional path. Faults are appended here.

    Returns:
        A dataset of `(x, y, sample_weight)`, and the ids in its order. The last batch is padded:
        `sample_weight` float32 `(B,)` is 0 there, and for pictures that could not be used.

    Raises:
        SourceError: if the split is empty.
    """
    entries = data.source.split(split or data.evaluation_split)
    examples = image_examples(
        entries,
        partial(evaluation_order, len(entries)),
        config.data.reading(data.source.root, faults_path),
        data.faults,
        num_classes=len(data.label_names),
    )
    seen = mapped(examples, partial(_seen, config=config))
    batches = evaluation_batches(seen, batch_size or config.training.batch_size, len(entries))
    finish = partial(_evaluation_batch, preprocessor=preprocessor)
    return finished(batches, finish), [entry.id for entry in entries]


def _augmented(example: dict[str, Any], *, config: Config) -> dict[str, Any]:
    """Crop, mirror, RandAugment, size: in the order of the published recipe."""
    settings, seed = config.data.augmentation, config.training.seed
    image, position = example["image"], example["position"]
    shape = tf.shape(image)
    box = inception_crop_box(
        shape[0],
        shape[1],
        draw_seed(seed, position, ImageDraw.CROP),
        area=settings.crop_area,
        aspect=settings.crop_aspect,
        crop_fraction=config.data.crop_fraction,
    )
    image = random_flip(cut(image, box), draw_seed(seed, position, ImageDraw.FLIP), settings.flip_rate)
    image = rand_augment(
        image,
        draw_seed(seed, position, ImageDraw.RAND_AUGMENT),
        num_layers=settings.rand_augment_layers,
        magnitude=settings.rand_augment_magnitude,
    )
    return {**example, "image": resize(image, config.data.size_px)}


def _seen(example: dict[str, Any], *, config: Config) -> dict[str, Any]:
    image = evaluation_image(example["image"], config.data.size_px, config.data.crop_fraction)
    return {**example, "image": image}


def _training_batch(
    batch: dict[str, Any], *, config: Config, preprocessor: Preprocess, read: BatchRows, rows: BatchRows
) -> tuple[dict[str, Any], tf.Tensor, tf.Tensor]:
    settings, seed = config.data.augmentation, config.training.seed
    image = preprocessor({"image": batch["image"]})["image"]
    weight = tf.cast(batch["presence"]["image"], tf.float32)
    labels = batch["labels"]
    position = batch["position"][0] - read.numbers[0]  # of the first row of the whole batch
    if settings.mixes:
        image, labels, weight = mix_pairs(
            image,
            labels,
            weight,
            draw_seed(seed, position, ImageDraw.MIXUP),
            draw_seed(seed, position, ImageDraw.CUTMIX),
            mixup_alpha=settings.mixup_alpha,
            cutmix=settings.cutmix,
            rows=rows,
        )
    return {"image": image}, labels, weight


def _evaluation_batch(
    batch: dict[str, Any], *, preprocessor: Preprocess
) -> tuple[dict[str, Any], tf.Tensor, tf.Tensor]:
    return {"image": preprocessor({"image": batch["image"]})["image"]}, batch["labels"], batch["weight"]
