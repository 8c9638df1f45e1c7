"""How good embeddings are: does a clip's sound find its picture, and does a clip find its like?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from zorro_keras.metrics import nearest_neighbour_accuracy, recall_at

KS = (1, 5, 10)
_MERGED = "{first}_finds_{second}_recall_at_{k}"


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
        has = usable.astype(bool) & _has(this, presence) & _has(other, presence)
        partner = embeddings.get(f"{other}_to_{this}")
        if has.any() and partner is not None:
            for k, share in recall_at(vectors[has], partner[has], KS).items():
                found[_MERGED.format(first=this, second=other, k=k)] = share
        accuracy = _neighbour_accuracy(vectors, labels, usable.astype(bool) & _has(this, presence))
        if accuracy is not None:
            found[f"{name}_neighbours"] = accuracy
    return found


def _has(output: str, presence: Mapping[str, np.ndarray]) -> np.ndarray:
    """Whether an output means something: a stream's where the clip has it, any other wherever it has one."""
    if output in presence:
        return np.asarray(presence[output], bool)
    return np.logical_or.reduce([np.asarray(flags, bool) for flags in presence.values()])


def _neighbour_accuracy(vectors: np.ndarray, labels: np.ndarray, has: np.ndarray) -> float | None:
    """Each half of the clips asks the other; `None` where clips do not have exactly one label."""
    vectors, labels = vectors[has], labels[has]
    if len(labels) < 2 or labels.shape[1] < 2 or not (labels.sum(axis=1) == 1).all():
        return None
    classes = labels.argmax(axis=1)
    halves = [(vectors[half::2], classes[half::2]) for half in (0, 1)]
    ways = [nearest_neighbour_accuracy(*halves[way], *halves[1 - way]) for way in (0, 1)]
    return float(np.average(ways, weights=[len(halves[1 - way][1]) for way in (0, 1)]))
