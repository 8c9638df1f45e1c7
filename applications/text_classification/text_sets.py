"""What readers of labelled text give: tasks, and sets of examples with or without labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.source_rows import raise_problems

# In the order in which evaluation prefers them: the first that has labels is used.
EVALUATED = ("val", "test")
SCORE = "score"


@dataclass(frozen=True)
class TextTask:
    """What is asked of a text.

    Attributes:
        name: str. Names the model's query and head, without "/".
        label_names: tuple of str, the classes; `("score",)` where a number is predicted.
        metrics: tuple of names of `scores.METRICS`.
    """

    name: str
    label_names: tuple[str, ...]
    metrics: tuple[str, ...] = ("accuracy",)

    @property
    def is_regression(self) -> bool:
        """Whether a number is predicted instead of a class."""
        return len(self.label_names) == 1


@dataclass(frozen=True)
class TextSet:
    """The examples of one split of one task.

    Attributes:
        task: str. The task whose head answers.
        name: str. Of the set in reports, such as "MNLI mismatched".
        split: "train", "val", "test"; GLUE's second sets are "val_mismatched" and "test_mismatched".
        texts: tuple of tuples of 1 or 2 str.
        labels: int32 or float32 `(N,)`; `None` where the source has none.
        ids: tuple of str, where each was found.
        numbers: tuple of int, of each among the rows of its source, those left out included.
        num_rows: int. Rows of the source.
    """

    task: str
    name: str
    split: str
    texts: tuple[tuple[str, ...], ...]
    labels: np.ndarray | None
    ids: tuple[str, ...]
    numbers: tuple[int, ...]
    num_rows: int

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class TextData:
    """Opened and checked data.

    Attributes:
        tasks: tuple of `TextTask`, in order of their names.
        sets: tuple of `TextSet`.
        problems: tuple of `SourceError`, one for each row that was left out because the caller allowed it.
    """

    tasks: tuple[TextTask, ...]
    sets: tuple[TextSet, ...]
    problems: tuple[SourceError, ...] = ()

    @property
    def label_names(self) -> tuple[str, ...]:
        """Every label as `task/label`, in the order of the tasks' outputs: see `tasks_of`."""
        return tuple(f"{task.name}/{label}" for task in self.tasks for label in task.label_names)

    @property
    def num_train(self) -> int:
        """Examples of one training pass, all tasks together."""
        return sum(len(part) for part in self.split("train"))

    def task(self, name: str) -> TextTask:
        """The task of that name."""
        return next(task for task in self.tasks if task.name == name)

    def split(self, name: str) -> tuple[TextSet, ...]:
        """The labelled sets of a split."""
        return tuple(part for part in self.sets if part.split == name and part.labels is not None)

    def validation(self) -> tuple[TextSet, ...]:
        """One labelled set for each task that has one: its "val", else its "test"."""
        found = {part.task: part for split in reversed(EVALUATED) for part in self.split(split)}
        return tuple(found[task.name] for task in self.tasks if task.name in found)

    def check(self, path: str | Path, allowed: float) -> None:
        """Raises one error that names every row that cannot be used, unless there are at most `allowed`."""
        if len(self.problems) > allowed:
            raise_problems(str(path), self.problems)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over tasks, texts, labels and splits: the same data, wherever it lies."""
        digest = hashlib.sha256(json.dumps(self.label_names).encode())
        for part in self.sets:
            labels = None if part.labels is None else part.labels.tolist()
            row = [part.task, part.split, part.texts, labels]
            digest.update(json.dumps(row, ensure_ascii=True).encode())
        return digest.hexdigest()


def tasks_of(label_names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The labels of each task, from what `TextData.label_names` gave.

    Args:
        label_names: sequence of `task/label`.

    Raises:
        ValueError: if a name holds no "/".
    """
    tasks: dict[str, list[str]] = {}
    for name in label_names:
        task, slash, label = name.partition("/")
        if not slash:
            raise ValueError(f"`label_names` must be written task/label. Received: {name!r}")
        tasks.setdefault(task, []).append(label)
    return {task: tuple(labels) for task, labels in tasks.items()}
