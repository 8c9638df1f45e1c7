"""Several windows of a clip as one answer: the mean of what those say that have what is asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


class WindowMeans:
    """Means by clip, gathered batch by batch.

    A window that lacks what a head reads knows nothing of it, and counts only in a clip that has no other.

    Args:
        num_clips: int. N.
        num_classes: int. K.
    """

    def __init__(self, num_clips: int, num_classes: int) -> None:
        self._totals = np.zeros((num_clips, num_classes), np.float32)
        self._numbers = np.zeros(num_clips, np.int64)
        self._is_known = np.zeros(num_clips, bool)

    def add(self, clips: np.ndarray, values: np.ndarray, has: np.ndarray) -> None:
        """Adds windows.

        Args:
            clips: ints `(W,)` in [0, N). The clip of each window.
            values: floats `(W, K)`.
            has: bool `(W,)`. Whether the window has what the values are of.
        """
        known_now = clips[has & ~self._is_known[clips]]  # what windows said that knew nothing is dropped
        self._totals[known_now], self._numbers[known_now], self._is_known[known_now] = 0, 0, True
        counted = has | ~self._is_known[clips]
        np.add.at(self._totals, clips[counted], values[counted])
        np.add.at(self._numbers, clips[counted], 1)

    def means(self) -> np.ndarray:
        """Returns float32 `(N, K)`, zeros for a clip without windows."""
        return self._totals / np.maximum(self._numbers, 1)[:, None].astype(np.float32)


def has_input(head: str, presence: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns where windows have what a head reads, bool `(W,)`: its stream, or any where it reads them all.

    Args:
        head: str. A stream, or the name of what reads them all.
        presence: dict of each stream that the model is given to bool `(W,)`.
    """
    flags = presence[head] if head in presence else np.any(list(presence.values()), axis=0)
    return np.asarray(flags, bool)


def mean_over_windows(
    predictions: Mapping[str, np.ndarray],
    labels: np.ndarray,
    sample_weight: np.ndarray,
    window_ids: Sequence[str],
    presence: Mapping[str, np.ndarray] | None = None,
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Returns predictions, labels and weights with one row per clip, in the order of their first windows.

    Args:
        predictions: dict of head to logits `(B, K)`.
        labels: floats `(B, K)`; those of a clip's windows are the same.
        sample_weight: floats `(B,)`. Windows of weight 0 do not count; a clip that has no
            other gets weight 0.
        window_ids: sequence of at most B str, the clip of each row. Rows beyond are padding.
        presence: optional dict of stream to bool `(B,)`. Whether each window has it; all have all by default.
    """
    row_of_clip = {clip: row for row, clip in enumerate(dict.fromkeys(window_ids))}
    counted = np.flatnonzero(np.asarray(sample_weight)[: len(window_ids)] > 0)
    clips = np.array([row_of_clip[clip] for clip in window_ids])[counted]
    all_have = np.ones(len(sample_weight), bool)

    def mean(values: np.ndarray, has: np.ndarray) -> np.ndarray:
        means = WindowMeans(len(row_of_clip), values.shape[1])
        means.add(clips, values[counted], has[counted])
        return means.means()

    means = {
        head: mean(np.asarray(logits), has_input(head, presence) if presence else all_have)
        for head, logits in predictions.items()
    }
    weights = np.bincount(clips, minlength=len(row_of_clip)) > 0
    return means, mean(np.asarray(labels), all_have), weights.astype(np.float32)
