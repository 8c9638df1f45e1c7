"""Batches of texts with hidden words.

Everything is a function of (seed, step): a data set built at `start_step=k` gives, byte for byte, what
another gives after k batches.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from zorro_keras.applications.masked_language.config import Config
from zorro_keras.applications.masked_language.preprocessor import MaskedLanguagePreprocessor
from zorro_keras.applications.masked_language.rows import TextRows
from zorro_keras.applications.pipelines.batch_rows import WHOLE, BatchPart
from zorro_keras.applications.pipelines.batches import counted
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.host_errors import FaultSlot, watched_dataset
from zorro_keras.applications.pipelines.text_generated import write_generated_texts
from zorro_keras.applications.pipelines.text_readers import SPLITS, TextFiles

_MASKS = 3  # what a random number is for, next to those of `rows`; never renumber
_TEST_SEED = 0  # evaluation hides the same words whatever the seed of the run


@dataclass(frozen=True)
class TextData:
    """Opened texts.

    Attributes:
        texts: `TextFiles`, all of them read and checked once.
        num_train: int. Rows of one pass of training.
        fingerprint: str. Hash of the texts, their order and split.
        faults: holds an error that ended a reading.
    """

    texts: TextFiles
    num_train: int
    fingerprint: str
    faults: FaultSlot = field(default_factory=FaultSlot)


def default_data(out_dir: str | Path) -> Path:
    """Writes the generated texts that the `tiny` configuration learns. Returns the path to train from."""
    return write_generated_texts(Path(out_dir) / "generated.txt")


def open_data(path: str | Path, config: Config, *, splits: Sequence[str] = SPLITS) -> TextData:
    """Opens a text file or a folder of them, and checks all of it first.

    Args:
        path: `.txt`, `.jsonl`, `.json` or `.tfrecord` files, `.gz` behind any of them, or a folder of those.
        config: `Config`.
        splits: those that may not be empty.

    Raises:
        SourceError: if something cannot be read, a split is empty, or all are.
    """
    settings = config.data
    texts = TextFiles(
        path, field=settings.field, test_fraction=settings.test_fraction, bad_utf8=settings.bad_utf8
    )
    num_texts = sum(map(texts.num_texts, SPLITS))
    for split in (*splits, None):
        if (texts.num_texts(split) if split else num_texts) == 0:
            raise SourceError(
                f"No text is in the {split} split, of {num_texts}." if split else "There is no text.",
                path=path, stage="open", reason="empty_source",
                advice="Give more texts, or change `data.test_fraction`. `evaluate --whole` measures on "
                "all of texts that the run was not trained on.",
            )  # fmt: skip
    num_train = sum(-(-scan.num_texts["train"] // settings.texts_per_row) for scan in texts.scans)
    return TextData(texts, num_train, texts.fingerprint)


def training_dataset(
    data: TextData,
    config: Config,
    preprocessor: MaskedLanguagePreprocessor,
    *,
    start_step: int = 0,
    part: BatchPart = WHOLE,
) -> tf.data.Dataset:
    """The endless batches of training, all of one shape.

    Args:
        data: `TextData`.
        config: `Config`.
        preprocessor: `MaskedLanguagePreprocessor`: its tokenizer makes the ids, it hides the words.
        start_step: int. The first step to give: 0, or the number of steps already done.
        part: `BatchPart`. The part of each batch to give. All rows are read: they are shuffled by block.

    Returns:
        Infinite dataset of `(x, y, sample_weight)` as the preprocessor gives them.

    Raises:
        ValueError: if `start_step` is negative.
    """
    if start_step < 0:
        raise ValueError(f"`start_step` must not be negative. Received: start_step={start_step}")
    seed, batch_size = config.training.seed, config.training.batch_size
    rows = _rows(data, config, preprocessor, "train")
    own = part.rows(batch_size).numbers

    def batches() -> Iterator[Any]:
        position = start_step * batch_size
        shuffled = rows.shuffled(seed, position)
        while True:
            batch = list(itertools.islice(shuffled, batch_size))
            seeds = [[seed, _MASKS, position + row] for row in own]
            yield preprocessor.mask_rows([batch[row] for row in own], seeds)
            position += batch_size

    return _dataset(batches, data.faults, len(own), preprocessor)


def evaluation_dataset(
    data: TextData,
    config: Config,
    preprocessor: MaskedLanguagePreprocessor,
    *,
    whole: bool = False,
    batch_size: int | None = None,
) -> tuple[tf.data.Dataset, range]:
    """The batches of rows in their order, with the same words hidden each time.

    Args:
        data, config, preprocessor: as for `training_dataset`.
        whole: bool. All rows of both splits, for texts that no one was trained on. By default the first
            `data.max_test_rows` of the held-out ones.
        batch_size: optional int. That of the training by default.

    Returns:
        A dataset of `(x, y, sample_weight)`, and the numbers of its rows. The last batch is filled up with
        blank rows, whose sample weights are 0.
    """
    batch_size = batch_size or config.training.batch_size
    most = None if whole else config.data.max_test_rows
    rows = _rows(data, config, preprocessor, None if whole else "test")
    num_rows = sum(1 for _ in itertools.islice(rows.in_order(), most))

    def batches() -> Iterator[Any]:
        in_order = itertools.islice(rows.in_order(), most)
        for start in range(0, num_rows, batch_size):
            batch = list(itertools.islice(in_order, batch_size))
            batch += [np.zeros(0, np.int32)] * (batch_size - len(batch))
            yield preprocessor.mask_rows(
                batch, [[_TEST_SEED, _MASKS, row] for row in range(start, start + batch_size)]
            )

    dataset = _dataset(batches, data.faults, batch_size, preprocessor)
    return counted(dataset, batch_size, num_rows), range(num_rows)


def _rows(
    data: TextData, config: Config, preprocessor: MaskedLanguagePreprocessor, split: str | None
) -> TextRows:
    return TextRows(data.texts, preprocessor.tokens, preprocessor.length, split, config.data.texts_per_row)


def _dataset(
    batches: Callable[[], Iterator[Any]],
    faults: FaultSlot,
    batch_size: int,
    preprocessor: MaskedLanguagePreprocessor,
) -> tf.data.Dataset:
    shape = (batch_size, preprocessor.length)
    hidden = (batch_size, preprocessor.mask_selection_length)
    ids, places = tf.TensorSpec(shape, tf.int32), tf.TensorSpec(hidden, tf.int32)
    x = {"text": ids, "padding_mask": {"text": tf.TensorSpec(shape, tf.bool)}, "mask_positions": places}
    signature = (x, places, tf.TensorSpec(hidden, tf.float32))
    return watched_dataset(batches, signature, faults).prefetch(tf.data.AUTOTUNE)
