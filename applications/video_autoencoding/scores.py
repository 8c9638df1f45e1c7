"""How far rebuilt clips are from the originals, beside what needs no model: mean frames, and silence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from zorro_keras import metrics
from zorro_keras.applications.pipelines.faults import TrainingError
from zorro_keras.applications.training.finite import check_finite
from zorro_keras.applications.video_autoencoding.autoencoder import VideoAutoencoder

_KINDS = {"video": ("model", "mean_frame", "own_mean_frame"), "audio": ("model", "silence")}
_NUM_SHOWN = 8


class ClipScores:
    """What is measured of every clip of a split.

    Args:
        task: `VideoAutoencoder`.
        mean_frame: float `(Y, X, 3)` in [0, 1], of the training clips; `None` where there is none, whose
            figures are then `None`, too.
    """

    def __init__(self, task: VideoAutoencoder, mean_frame: np.ndarray | None) -> None:
        self.task, self.mean_frame = task, mean_frame
        self.errors: dict[str, list[np.ndarray]] = {}
        self.presence: dict[str, list[np.ndarray]] = {"audio": [], "video": []}
        self.labels: list[np.ndarray] = []
        self.logits: list[np.ndarray] = []
        self.weights: list[np.ndarray] = []
        self.shown: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, x: Mapping[str, Any], y: np.ndarray, weight: np.ndarray) -> None:
        """Rebuilds a batch and measures it."""
        answers = self.task.as_clip(keras.Model.predict_on_batch(self.task, dict(x)))
        made = {name: np.asarray(keras.ops.convert_to_numpy(values)) for name, values in answers.items()}
        image, audio = x["image"], x["audio"]
        rebuilt = {
            "video_model": made["image"] - image,
            "video_own_mean_frame": image.mean(axis=1, keepdims=True) - image,
            "audio_model": made["audio"] - audio,
            "audio_silence": audio,
        }
        if self.mean_frame is not None:
            rebuilt["video_mean_frame"] = self.mean_frame - image
        for name, difference in rebuilt.items():
            error = np.square(difference, dtype=np.float64).mean(axis=tuple(range(1, difference.ndim)))
            self.errors.setdefault(name, []).append(error)
        for name, key in (("audio", "audio"), ("video", "image")):
            self.presence[name].append(x["presence"][key] & (weight > 0))
        self.labels.append(y.argmax(axis=1))
        self.logits.append(made["label_logits"])
        self.weights.append(weight)
        for row in np.flatnonzero(self.presence["video"][-1])[: _NUM_SHOWN - len(self.shown)]:
            middle = image.shape[1] // 2
            pair = [np.round(255 * clips[row, middle]) for clips in (image, made["image"])]
            with np.errstate(invalid="ignore"):  # `figures` refuses what is not finite
                pair = [pixels.astype(np.uint8) for pixels in pair]
            self.shown.append(tuple(pair))

    def figures(self, num_clips: int) -> dict[str, Any]:
        """Returns the figures over the first `num_clips`; what follows them is padding.

        Raises:
            TrainingError: if no clip could be used, or the model gives a number that is not finite.
        """
        used = _joined(self.weights, num_clips) > 0
        logits = _joined(self.logits, num_clips)
        if not used.any():
            raise TrainingError(
                "Not one clip of the split could be used.", stage="evaluate", reason="empty_source",
                advice="Mend the files that `faults.jsonl` in the folder of the run names.",
            )  # fmt: skip
        numbers = [logits[used], *(_joined(self.errors[name], num_clips)[used] for name in self.errors)]
        for values in numbers:
            check_finite(values, "evaluate")
        labels = _joined(self.labels, num_clips)[used]
        return {
            "num_clips": int(used.sum()),
            **{name: self._of_stream(name, num_clips) for name in _KINDS},
            "label": {
                "top1_accuracy": metrics.accuracy(labels, logits[used]),
                "top5_accuracy": metrics.top_k_accuracy(labels, logits[used], 5),
                "most_frequent_class": float(np.bincount(labels).max() / len(labels)),
            },
        }

    def _of_stream(self, name: str, num_clips: int) -> dict[str, Any] | None:
        """PSNR by what was compared: the mean over clips; and of the mean error of all, and of each class."""
        has = _joined(self.presence[name], num_clips)
        if not has.any():
            return None
        parts = {kind: self.errors.get(f"{name}_{kind}") for kind in _KINDS[name]}
        errors = {kind: _joined(part, num_clips) if part else None for kind, part in parts.items()}
        labels, by_class = _joined(self.labels, num_clips), {}
        for index in np.unique(labels[has]):
            of_class = has & (labels == index)
            by_class[self.task.preprocessor.label_names[index]] = {
                "num_clips": int(of_class.sum()),
                "pooled_psnr_db": _pooled(errors, of_class),
            }
        return {
            "num_clips": int(has.sum()),
            "psnr_db": {
                kind: None if error is None else float(metrics.decibels(error[has]).mean())
                for kind, error in errors.items()
            },
            "pooled_psnr_db": _pooled(errors, has),
            "by_class": by_class,
        }


def _pooled(errors: Mapping[str, np.ndarray | None], used: np.ndarray) -> dict[str, float | None]:
    """PSNR of the mean error of the clips that are used, by what was compared."""
    return {
        kind: None if error is None else float(metrics.decibels(error[used].mean()))
        for kind, error in errors.items()
    }


def mean_frame_of(batches: Iterable[tuple]) -> np.ndarray | None:
    """Returns the mean `(Y, X, 3)` of all frames of the clips of a data set that have pictures, if any.

    Args:
        batches: iterable of `(x, y, sample_weight)`, numpy.
    """
    total, count = 0.0, 0
    for x, _, weight in batches:
        has = x["presence"]["image"] & (weight > 0)
        total = total + x["image"][has].astype(np.float64).mean(axis=1).sum(axis=0)
        count += int(has.sum())
    return total / count if count else None


def _joined(parts: list[np.ndarray], length: int) -> np.ndarray:
    return np.concatenate(parts)[:length]
