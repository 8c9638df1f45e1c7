"""How far the hidden part of clips is told from the truth, beside what needs no model: means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from zorro_keras.applications.masked_autoencoding.autoencoder import MaskedClipAutoencoder
from zorro_keras.applications.pipelines.faults import TrainingError
from zorro_keras.applications.training.finite import check_finite

KINDS = ("model", "training_mean", "visible_mean")
_NUM_SHOWN = 8


class HiddenScores:
    """Mean square errors over all that was hidden of many clips, and some frames to look at.

    Args:
        task: `MaskedClipAutoencoder` with its preprocessor.
        mean_clip: dict of stream to float `(*shape)`, the mean of the training clips at each place,
            preprocessed. Streams that it lacks are not compared with it.

    Attributes:
        num_clips: int. Clips that have a stream of the model; others could not be used, or fill up a batch.
        shown: list of triples of uint8 frames `(Y, X, 3)`: a clip's, what was shown of it, and that with the
            rest as the model tells it.
    """

    def __init__(
        self, task: MaskedClipAutoencoder, mean_clip: Mapping[str, np.ndarray] | None = None
    ) -> None:
        self.task, self.mean_clip = task, mean_clip or {}
        self.num_clips = 0
        self.shown: list[tuple[np.ndarray, ...]] = []
        self._sums: dict[str, dict[str, float]] = {}
        self._numbers: dict[str, int] = {}
        self._clips: dict[str, int] = {}

    def add(self, x: Mapping[str, Any], within: Mapping[str, int] | None = None) -> None:
        """Hides most of a batch, as a data set gives it, asks for it, and measures the answer.

        Args:
            x: dict of numpy arrays by stream, and `presence`.
            within: optional dict of stream to int >= 1. Of each clip only so many samples or frames are
                measured: what follows fills up a window that reaches past the end of its file.

        Raises:
            TrainingError: if the model gives a number that is not finite.
        """
        task = self.task
        outputs = task.as_clip(keras.Model.predict_on_batch(task, dict(x)))
        made, hidden = keras.tree.map_structure(
            keras.ops.convert_to_numpy, (outputs["reconstruction"], outputs["hidden"])
        )
        self.num_clips += int(np.any([x["presence"][name] for name in task.backbone.streams], axis=0).sum())
        for name in task.backbone.streams:
            has, end = np.asarray(x["presence"][name]), (within or {}).get(name)
            clips = [part[name][has, :end] for part in (x, made, hidden)]
            if has.any():
                check_finite(clips[1], "evaluate")
                self._measure(name, *clips)
            if name == "video":
                for clip in list(zip(*clips, strict=True))[: _NUM_SHOWN - len(self.shown)]:
                    self._show(*clip)

    def figures(self) -> dict[str, dict[str, Any] | None]:
        """Returns by stream `num_clips`, and `mean_squared_error` by what was compared, in units of a clip.

        Pixels are in [0, 1] and samples in [-1, 1]. `None` stands for a stream that no clip has or of
        which nothing was hidden, and for a mean that was not given.

        Raises:
            TrainingError: if no clip could be used.
        """
        if not self._clips:
            raise TrainingError(
                "Not one clip could be used.", stage="evaluate", reason="empty_source",
                advice="Mend the files that `faults.jsonl` in the folder of the run names.",
            )  # fmt: skip
        return {name: self._of_stream(name) for name in self.task.backbone.streams}

    def _of_stream(self, name: str) -> dict[str, Any] | None:
        if not self._numbers.get(name):
            return None
        unit = self.task.preprocessor.scales[name] ** 2 / self._numbers[name]
        sums = self._sums[name]
        errors = {kind: unit * sums[kind] if kind in sums else None for kind in KINDS}
        return {"num_clips": self._clips[name], "mean_squared_error": errors}

    def _measure(self, name: str, true: np.ndarray, made: np.ndarray, hidden: np.ndarray) -> None:
        answers = {"model": made, "visible_mean": _visible_mean(true, hidden)}
        if name in self.mean_clip:
            answers["training_mean"] = self.mean_clip[name][: true.shape[1]]
        sums = self._sums.setdefault(name, dict.fromkeys(answers, 0.0))
        for kind, answer in answers.items():
            sums[kind] += float(np.square(answer - true, dtype=np.float64)[hidden].sum())
        self._numbers[name] = self._numbers.get(name, 0) + int(hidden.sum())
        self._clips[name] = self._clips.get(name, 0) + len(true)

    def _show(self, true: np.ndarray, made: np.ndarray, hidden: np.ndarray) -> None:
        """Keeps the middle frame of one clip."""
        middle, to_pixels = len(true) // 2, self.task.preprocessor.to_pixels
        frames = (true, np.where(hidden, made, true))
        whole, told = (np.asarray(keras.ops.convert_to_numpy(to_pixels(each[middle]))) for each in frames)
        grey = np.where(hidden[middle], 0.5, whole)
        self.shown.append(tuple(np.round(255 * each).astype(np.uint8) for each in (whole, grey, told)))


def mean_clip_of(batches: Iterable[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Returns the mean of the clips of a data set at each place, by stream, float64 `(*shape)`.

    Args:
        batches: iterable of dicts of numpy arrays, as `evaluation_dataset` gives them.
    """
    sums: dict[str, np.ndarray] = {}
    counts: dict[str, int] = {}
    for x in batches:
        for name, flags in x["presence"].items():
            if flags.any():
                sums[name] = sums.get(name, 0.0) + x[name][flags].sum(axis=0, dtype=np.float64)
                counts[name] = counts.get(name, 0) + int(flags.sum())
    return {name: total / counts[name] for name, total in sums.items()}


def _visible_mean(true: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Returns the mean of what is shown of each clip, of pixels for each colour."""
    axes = tuple(range(1, max(true.ndim - 1, 2)))
    shown = ~hidden
    return (true * shown).sum(axis=axes, keepdims=True) / np.maximum(shown.sum(axis=axes, keepdims=True), 1)
