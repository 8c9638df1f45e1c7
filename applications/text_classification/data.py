"""Batches of ids, labels and weights, from any labelled text.

Everything is a function of (seed, step): a data set built at `start_step=k` gives, byte for byte, what
another gives after k batches.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from zorro_keras.applications.pipelines.batch_rows import WHOLE, BatchPart
from zorro_keras.applications.pipelines.batches import counted
from zorro_keras.applications.pipelines.faults import ConfigError, SourceError
from zorro_keras.applications.pipelines.order import training_order
from zorro_keras.applications.text_classification.config import Config
from zorro_keras.applications.text_classification.generated_text import write_generated_glue
from zorro_keras.applications.text_classification.glue_files import is_glue, read_glue
from zorro_keras.applications.text_classification.labelled_text import read_labelled_text
from zorro_keras.applications.text_classification.text_sets import TextData, TextSet

Preprocessor = Callable[[Sequence[tuple[str, ...]]], dict[str, Any]]


def default_data(out: str | Path) -> Path:
    """Writes the small generated tasks that stand in for data of one's own. Returns their folder."""
    return write_generated_glue(out)


def open_data(path: str | Path, config: Config, *, label_names: Sequence[str] | None = None) -> TextData:
    """Opens GLUE's folders or labelled text of one's own, and checks all of it first.

    Args:
        path: a folder with GLUE's tasks or of one of them, as TSV or as parquet; a folder of class folders of
            `.txt` files; or a file `.csv`, `.tsv` or `.jsonl` with `text`, `label` and optionally `text2`
            and `split`.
        config: `Config`.
        label_names: optional sequence of `task/label`: what a model was trained on, in its order.

    Returns:
        `TextData`.

    Raises:
        SourceError: if rows cannot be used and may not be left out; every one is named.
        ConfigError: if a task asked for is not there.
    """
    settings = config.data
    if is_glue(path):
        data = read_glue(path, settings.tasks, label_names)
    elif settings.tasks:
        raise ConfigError(
            f"`data.tasks` chooses among GLUE's folders, and there are none. Received: {settings.tasks}",
            path=path, stage="open_data", reason="bad_value",
        )  # fmt: skip
    else:
        data = read_labelled_text(path, label_names, settings.test_fraction)
    allowed = settings.max_bad_fraction * sum(map(len, data.sets)) if settings.on_error == "skip" else 0
    data.check(path, allowed)
    return data


def training_dataset(
    data: TextData,
    config: Config,
    preprocessor: Preprocessor,
    *,
    start_step: int = 0,
    faults_path: str | Path | None = None,
    part: BatchPart = WHOLE,
) -> tf.data.Dataset:
    """The endless batches of training, which mix the tasks as their examples come.

    Args:
        data: `TextData`.
        config: `Config`.
        preprocessor: `TextPreprocessor`.
        start_step: int. The first step to give: 0, or the number of steps already done.
        faults_path: optional path. Rows that were left out are appended here, those that it lacks.
        part: `BatchPart`. The part of each batch to give.

    Returns:
        Infinite dataset of `(x, y, sample_weight)`: `x` as the preprocessor gives it; `y` a dict of task to
        int32 `(B,)`, or float32 for numbers; `sample_weight` a dict of task to float32 `(B,)`, 1 where the
        example is the task's and 0 elsewhere.

    Raises:
        SourceError: if the training split is empty.
        ValueError: if `start_step` is negative.
    """
    if start_step < 0:
        raise ValueError(f"`start_step` must not be negative. Received: start_step={start_step}")
    examples = _Examples(data, data.split("train"))
    if not len(examples):
        raise SourceError("The training split is empty.", stage="open_data", reason="empty_source")
    if faults_path is not None:
        _write_down(data, Path(faults_path))
    batch_size = config.training.batch_size
    rows = part.rows(batch_size)
    order = training_order(len(examples), config.training.seed, start_step * batch_size, rows=rows)
    order = order.map(lambda place: place["index"]).batch(len(rows), drop_remainder=True)
    return _batches(examples, preprocessor, len(rows), order.as_numpy_iterator)


def evaluation_dataset(
    data: TextData,
    config: Config,
    preprocessor: Preprocessor,
    *,
    sets: Sequence[TextSet] | None = None,
) -> tuple[tf.data.Dataset, list[str]]:
    """The batches of one pass over sets of examples, in their order.

    Args:
        data: `TextData`.
        config: `Config`.
        preprocessor: `TextPreprocessor`.
        sets: optional sequence of `TextSet`. By default one labelled set a task: its "val", else its "test".

    Returns:
        A dataset as of `training_dataset`, and the ids in its order. The last batch is filled up with empty
        texts of weight 0. Examples without a label have weight 0, too.

    Raises:
        SourceError: if there is no example.
    """
    examples = _Examples(data, data.validation() if sets is None else sets)
    if not len(examples):
        raise SourceError("There is no labelled example.", stage="open_data", reason="empty_source")
    batch_size = config.training.batch_size

    def order() -> Iterator[np.ndarray]:
        for first in range(0, len(examples), batch_size):
            yield np.arange(first, min(first + batch_size, len(examples)))

    batches = _batches(examples, preprocessor, batch_size, order)
    return counted(batches, batch_size, len(examples)), examples.ids


def _write_down(data: TextData, path: Path) -> None:
    """Appends what is wrong with rows, once: a run that goes on opens its data again."""
    known = set(path.read_text(encoding="utf-8").splitlines()) if path.exists() else set()
    lines = [json.dumps(problem.to_json()) for problem in data.problems]
    with open(path, "a", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in lines if line not in known)


class _Examples:
    """The examples of some sets in one row: what stands at an index."""

    def __init__(self, data: TextData, sets: Sequence[TextSet]) -> None:
        self.tasks = data.tasks
        self.texts = [text for part in sets for text in part.texts]
        self.ids = [name for part in sets for name in part.ids]
        names = [task.name for task in data.tasks]
        self._task = np.repeat([names.index(part.task) for part in sets], [len(part) for part in sets])
        unknown = [np.full(len(part), np.nan) if part.labels is None else part.labels for part in sets]
        self._labels = np.concatenate([np.asarray(part, np.float64) for part in [[], *unknown]])

    def __len__(self) -> int:
        return len(self.texts)

    def targets(self, indices: np.ndarray, batch_size: int) -> tuple[dict, dict]:
        """Labels and weights of each task, `(batch_size,)`; what is no example of it has the label 0."""
        labels, weights = {}, {}
        for place, task in enumerate(self.tasks):
            found = np.zeros(batch_size, np.float32 if task.is_regression else np.int32)
            weight = np.zeros(batch_size, np.float32)
            label = self._labels[indices]
            counts = (self._task[indices] == place) & ~np.isnan(label)
            found[: len(indices)][counts] = label[counts]
            weight[: len(indices)][counts] = 1.0
            labels[task.name], weights[task.name] = found, weight
        return labels, weights


def _batches(
    examples: _Examples,
    preprocessor: Preprocessor,
    batch_size: int,
    order: Callable[[], Iterator[np.ndarray]],
) -> tf.data.Dataset:
    """The batches of the indices that `order` gives; short ones are filled up with empty texts."""

    def batch(indices: np.ndarray) -> tuple[dict, dict, dict]:
        texts = [examples.texts[index] for index in indices] + [("",)] * (batch_size - len(indices))
        return preprocessor(texts), *examples.targets(indices, batch_size)

    blank = batch(np.zeros(0, np.int64))
    signature = tf.nest.map_structure(lambda array: tf.TensorSpec(array.shape, array.dtype), blank)
    dataset = tf.data.Dataset.from_generator(lambda: map(batch, order()), output_signature=signature)
    return dataset.prefetch(tf.data.AUTOTUNE)
