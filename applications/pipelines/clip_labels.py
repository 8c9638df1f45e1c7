"""Labels of clips: checked on the host, where every backend agrees, then turned into vectors."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf

from zorro_keras.applications.pipelines.faults import SourceError


def check_labels(clips: Iterable[tuple[str, Sequence[int]]], num_classes: int, *, multi_label: bool) -> None:
    """Refuses labels that some backend would train on silently.

    Args:
        clips: iterable of (id, label indices).
        num_classes: int. K.
        multi_label: bool. False: exactly one label per clip.

    Raises:
        SourceError: if an index is not an integer in `[0, K)`, is given twice, or the count is wrong. Names
            up to 20 clips.
    """
    bad = []
    for clip_id, indices in clips:
        problem = _problem(indices, num_classes, multi_label)
        if problem:
            bad.append(f"{clip_id}: {problem}, received {list(indices)}")
    if bad:
        shown = "\n  ".join(bad[:20])
        raise SourceError(
            f"{len(bad)} clips have labels that cannot be trained on; the first:\n  {shown}",
            stage="labels",
            reason="bad_label",
        )


def label_vector(indices: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Turns label indices into a vector of zeros and ones.

    Args:
        indices: integer `(L,)`, each in `[0, K)`. May be empty.
        num_classes: int. K.

    Returns:
        float32 `(K,)`.
    """
    return tf.reduce_max(tf.pad(tf.one_hot(indices, num_classes), [[0, 1], [0, 0]]), 0)


def class_balance(labels: Sequence[Sequence[int]], num_classes: int) -> np.ndarray:
    """How often each clip is to be shown, beside the others, for rare classes to be as frequent as others.

    Args:
        labels: sequence of the label indices of each clip, N, each in `[0, K)`.
        num_classes: int. K.

    Returns:
        float64 `(N,)`: the sum over the labels of 1 / (clips with that label).

    Reference: Gong et al. 2022, CAV-MAE (code), which weighs the clips of AudioSet and VGGSound so.
    """
    counts = np.zeros(num_classes)
    for indices in labels:
        counts[list(indices)] += 1
    return np.array([(1.0 / counts[list(indices)]).sum() for indices in labels])


def _problem(indices: Sequence[int], num_classes: int, multi_label: bool) -> str:
    if not all(isinstance(index, numbers.Integral) and not isinstance(index, bool) for index in indices):
        return "every label must be an integer"
    if not all(0 <= index < num_classes for index in indices):
        return f"every label must be within [0, {num_classes})"
    if len({*indices}) < len(indices):
        return "a label is given twice"
    if not multi_label and len(indices) != 1:
        return "exactly one label is expected"
    return ""
