"""Several windows of a clip as one answer: the mean of what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def mean_over_windows(
    predictions: Mapping[str, np.ndarray],
    labels: np.ndarray,
    sample_weight: np.ndarray,
    window_ids: Sequence[str],
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Returns predictions, labels and weights with one row per clip, in the order of their first windows.

    Args:
        predictions: dict of head to logits `(B, K)`.
        labels: floats `(B, K)`; those of a clip's windows are the same.
        sample_weight: floats `(B,)`. Windows of weight 0 do not count; a clip that has no
            other gets weight 0.
        window_ids: sequence of at most B str, the clip of each row. Rows beyond are padding.
    """
    row_of_clip = {clip: row for row, clip in enumerate(dict.fromkeys(window_ids))}
    counted = np.flatnonzero(np.asarray(sample_weight)[: len(window_ids)] > 0)
    clips = np.array([row_of_clip[clip] for clip in window_ids])[counted]
    num_windows = np.bincount(clips, minlength=len(row_of_clip))

    def mean(values: np.ndarray) -> np.ndarray:
        total = np.zeros((len(row_of_clip), values.shape[1]), np.float32)
        np.add.at(total, clips, values[counted])
        return total / np.maximum(num_windows, 1)[:, None].astype(np.float32)

    means = {head: mean(np.asarray(logits)) for head, logits in predictions.items()}
    return means, mean(np.asarray(labels)), (num_windows > 0).astype(np.float32)
