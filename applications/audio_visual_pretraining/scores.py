"""How good embeddings are: does a clip's sound find its picture, and does a clip find its like?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from zorro_keras.metrics import nearest_neighbour_accuracy, recall_at

KS = (1, 5, 10)


def recall_name(first: str, second: str, k: int) -> str:
    """Returns what `scores_of` calls how often one output finds another among the k nearest."""
    return f"{first}_finds_{second}_recall_at_{k}"


def scores_of(
    embeddings: Mapping[str, np.ndarray],
    presence: Mapping[str, np.ndarray],
    labels: np.ndarray,
    usable: np.ndarray,
) -> dict[str, float]:
    """Returns the figures of a whole split.

    Args:
        embeddings: dict of head to `(N, E)`, as `AudioVisualPretrainer` gives them.
        presence: dict of stream to bool `(N,)`.
        labels: `(N, K)` in {0, 1}; the probe needs exactly one for each clip, and is left out otherwise.
        usable: bool `(N,)`, False for padding and for what could not be read.

    Returns:
        Dict with, for each two outputs, `audio_finds_video_recall_at_1`, `..._5`, `..._10`: how often the
        right one is among so many nearest, of all that have both; and for each head
        `audio_to_video_neighbours`: how often the nearest other clip is of the same class.
    """
    found: dict[str, float] = {}
    for name, vectors in embeddings.items():
        this, other = name.split("_to_")
        has = usable.astype(bool) & has_output(this, presence) & has_output(other, presence)
        partner = embeddings.get(f"{other}_to_{this}")
        if has.any() and partner is not None:
            for k, share in recall_at(vectors[has], partner[has], KS).items():
                found[recall_name(this, other, k)] = share
        accuracy = _neighbour_accuracy(vectors, labels, usable.astype(bool) & has_output(this, presence))
        if accuracy is not None:
            found[f"{name}_neighbours"] = accuracy
    return found


def has_output(output: str, presence: Mapping[str, np.ndarray]) -> np.ndarray:
    """Whether an output means something, bool `(N,)`: a stream's where it is there, others' where any is."""
    if output in presence:
        return np.asarray(presence[output], bool)
    return np.logical_or.reduce([np.asarray(flags, bool) for flags in presence.values()])


def _neighbour_accuracy(vectors: np.ndarray, labels: np.ndarray, has: np.ndarray) -> float | None:
    """How often the nearest other clip is of the same class; `None` unless clips have exactly one label."""
    vectors, labels = vectors[has], labels[has]
    if len(labels) < 2 or labels.shape[1] < 2 or not (labels.sum(axis=1) == 1).all():
        return None
    return float(nearest_neighbour_accuracy(vectors, labels.argmax(axis=1)))


def neighbour_chance(labels: np.ndarray) -> float:
    """Returns how often any other clip is of the same class, for labels `(N, K)` of one class each."""
    counts = labels.sum(axis=0)
    return float((counts * (counts - 1)).sum() / (len(labels) * (len(labels) - 1)))


def class_likeness(
    embeddings: Mapping[str, np.ndarray],
    presence: Mapping[str, np.ndarray],
    labels: np.ndarray,
    usable: np.ndarray,
) -> list[list[float | None]] | None:
    """Returns how alike the sounds of each class are to the pictures of each class.

    Args:
        embeddings, presence, labels, usable: as for `scores_of`.

    Returns:
        K rows, by class of the sound, of K mean cosines, by class of the picture, of all pairs of two clips
        that are not the same; None where there is no such pair. None instead of all rows without labels, or
        where the model does not compare sound and picture.
    """
    if not {"audio_to_video", "video_to_audio"} <= set(embeddings) or labels.shape[1] < 2:
        return None
    labels = labels * usable[:, None]
    heard, seen = (labels * np.asarray(presence[name])[:, None] for name in ("audio", "video"))
    sounds, pictures = embeddings["audio_to_video"], embeddings["video_to_audio"]
    # The mean over pairs of clips is the product of the sums, less what clips have in common with themselves.
    own = np.einsum("ne,ne->n", sounds, pictures)
    sums = (heard.T @ sounds) @ (seen.T @ pictures).T - heard.T @ (own[:, None] * seen)
    counts = np.outer(heard.sum(axis=0), seen.sum(axis=0)) - heard.T @ seen
    means = [
        [float(total / count) if count else None for total, count in zip(*row, strict=True)]
        for row in zip(sums, counts, strict=True)
    ]
    return means if counts.any() else None
