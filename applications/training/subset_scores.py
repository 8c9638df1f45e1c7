"""Runs a classifier over evaluation data once for every subset of its streams."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from zorro_keras.applications.pipelines.faults import TrainingError
from zorro_keras.applications.training.finite import check_finite
from zorro_keras.applications.training.window_means import WindowMeans, has_input

Subset = tuple[str, ...]


@dataclass(frozen=True)
class SubsetScores:
    """What a classifier says about N clips from each subset of its streams.

    Attributes:
        ids: tuple of str, N.
        labels: float32 `(N, K)`.
        presence: dict of stream to bool `(N,)`: whether the clip has it.
        logits: dict of subset to head to float32 `(N, K)`, the mean over the windows of a clip that have what
            the head reads, or over all where none has.
        unusable_ids: tuple of str. Clips that could not be read; they are not among the N.
    """

    ids: tuple[str, ...]
    labels: np.ndarray
    presence: Mapping[str, np.ndarray]
    logits: Mapping[Subset, Mapping[str, np.ndarray]]
    unusable_ids: tuple[str, ...]


def score_subsets(
    task: keras.Model,
    batches: Iterable[tuple[dict[str, Any], Any, Any]],
    window_ids: Sequence[str],
    subsets: Sequence[Subset],
) -> SubsetScores:
    """Answers every clip from each subset of the streams, in one pass over the data.

    A stream that a subset leaves out is not given to the model at all. A clip that lacks every stream of a
    subset is still asked: presence is False everywhere, and the answer is what the model says knowing
    nothing.

    Args:
        task: classifier of streams.
        batches: iterable of `(x, y, sample_weight)`, `x` with an array per stream and `presence`.
            Rows of weight 0 do not count.
        window_ids: the clip of each row, in order; several windows of a clip are averaged.
        subsets: tuples of streams.

    Returns:
        SubsetScores.

    Raises:
        TrainingError: if an answer is not finite.
    """
    tally = _Tally(tuple(dict.fromkeys(window_ids)))
    rows_of_id = {clip_id: row for row, clip_id in enumerate(tally.ids)}
    rows = np.array([rows_of_id[clip_id] for clip_id in window_ids])
    done = 0
    for x, y, weight in batches:
        clips = rows[done : done + len(weight)]
        done += len(weight)
        counted = np.flatnonzero(np.asarray(weight)[: len(clips)] > 0)
        answers = {subset: _answer(task, x, subset) for subset in subsets}
        tally.add(clips[counted], counted, np.asarray(y), x["presence"], answers)
    return tally.scores()


def _answer(task: keras.Model, x: Mapping[str, Any], subset: Subset) -> dict[str, np.ndarray]:
    inputs = {name: np.asarray(x[name]) for name in subset}
    presence = {name: np.asarray(x["presence"][name]) for name in subset}
    # `keras.Model`'s, because that of a KerasHub task would preprocess the batch again.
    logits = keras.Model.predict_on_batch(task, {**inputs, "presence": presence})
    return {head: logits[head] for head in task.heads if head in logits}  # JAX sorts them


class _Tally:
    """What the windows say, by clip."""

    def __init__(self, ids: tuple[str, ...]) -> None:
        self.ids = ids
        self.num_windows = np.zeros(len(ids), np.int64)
        self.labels: np.ndarray | None = None
        self.presence: dict[str, np.ndarray] = {}
        self.means: dict[Subset, dict[str, WindowMeans]] = {}

    def add(
        self,
        clips: np.ndarray,
        counted: np.ndarray,
        labels: np.ndarray,
        presence: Mapping[str, Any],
        answers: Mapping[Subset, Mapping[str, np.ndarray]],
    ) -> None:
        """Adds the rows `counted` of a batch to the means of `clips`."""
        if self.labels is None:
            self.labels = np.zeros((len(self.ids), labels.shape[1]), np.float32)
        self.labels[clips] = labels[counted]
        np.add.at(self.num_windows, clips, 1)
        for name, flags in presence.items():
            has = self.presence.setdefault(name, np.zeros(len(self.ids), bool))
            np.logical_or.at(has, clips, np.asarray(flags)[counted])
        for subset, heads in answers.items():
            given, means = {name: presence[name] for name in subset}, self.means.setdefault(subset, {})
            for head, logits in heads.items():
                self._check_finite(logits[counted], clips, subset, head)
                if head not in means:
                    means[head] = WindowMeans(len(self.ids), logits.shape[1])
                means[head].add(clips, logits[counted], has_input(head, given)[counted])

    def scores(self) -> SubsetScores:
        """Returns the means over windows of the clips that had any."""
        usable = np.flatnonzero(self.num_windows)
        if not len(usable):
            raise TrainingError(
                "Not one clip of the split could be used.", stage="evaluate", reason="empty_source"
            )
        return SubsetScores(
            ids=tuple(self.ids[row] for row in usable),
            labels=self.labels[usable],
            presence={name: has[usable] for name, has in self.presence.items()},
            logits={
                subset: {head: windows.means()[usable] for head, windows in heads.items()}
                for subset, heads in self.means.items()
            },
            unusable_ids=tuple(self.ids[row] for row in np.flatnonzero(self.num_windows == 0)),
        )

    def _check_finite(self, logits: np.ndarray, clips: np.ndarray, subset: Subset, head: str) -> None:
        where = f" from {'+'.join(subset)}, at the head `{head}`"
        check_finite(logits, "evaluate", [self.ids[clip] for clip in clips], where)
