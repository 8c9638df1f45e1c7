"""Exact metrics of embeddings: how often the right one is found among all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

_QUERIES_AT_ONCE = 256


def recall_at(queries: ArrayLike, keys: ArrayLike, ks: Sequence[int] = (1, 5, 10)) -> dict[int, float]:
    """Share of the queries whose own key is among the k that are nearest by cosine.

    Keys that are equally near come in any order: a query counts by the share of the orders in which its own
    is among the first k. So embeddings that are all the same score by chance, not by luck.

    Args:
        queries, keys: `(N, D)`; row i of both belong together.
        ks: sequence of int >= 1.

    Returns:
        Dict of k to float in [0, 1].

    Raises:
        ValueError: unless both are of one shape, finite, and not empty.
    """
    queries, keys = _unit(queries, "queries"), _unit(keys, "keys")
    if queries.shape != keys.shape:
        raise ValueError(f"`keys` must have the shape {queries.shape} of `queries`. Received: {keys.shape}")
    if min(ks, default=0) < 1:
        raise ValueError(f"`ks` must be positive. Received: ks={tuple(ks)}")
    nearer, equal = np.zeros(len(keys)), np.zeros(len(keys))
    for rows, likeness in _likeness(queries, keys):
        own = likeness[np.arange(len(rows)), rows, None]
        nearer[rows] = (likeness > own).sum(axis=1)
        equal[rows] = (likeness == own).sum(axis=1)  # itself among them
    return {k: float(np.clip((k - nearer) / equal, 0.0, 1.0).mean()) for k in ks}


def nearest_neighbour_accuracy(
    known: ArrayLike,
    known_labels: ArrayLike,
    queries: ArrayLike | None = None,
    query_labels: ArrayLike | None = None,
) -> float:
    """Share of the queries whose nearest known embedding, by cosine, has the same label.

    Args:
        known: `(M, D)` embeddings with labels.
        known_labels: `(M,)`.
        queries: `(N, D)`; `None` asks with each known one among the others.
        query_labels: `(N,)`, with `queries`.

    Returns:
        Float in [0, 1]. Of several nearest ones, the share with the right label counts.

    Raises:
        ValueError: for shapes that do not fit together, embeddings that are not finite, or a single known one
            to be found among the others.
    """
    among_others = queries is None
    queries, query_labels = (known, known_labels) if among_others else (queries, query_labels)
    known, queries = _unit(known, "known"), _unit(queries, "queries")
    known_labels, query_labels = np.asarray(known_labels), np.asarray(query_labels)
    fits = known.shape[1:] == queries.shape[1:]
    if not fits or known_labels.shape != known.shape[:1] or query_labels.shape != queries.shape[:1]:
        raise ValueError(
            "`known` and `queries` must have as many channels, and a label for each row. Received: "
            f"{known.shape} with {known_labels.shape}, {queries.shape} with {query_labels.shape}"
        )
    if among_others and len(known) < 2:
        raise ValueError(f"`known` must hold two at least, to ask among others. Received: {known.shape}")
    hits = 0.0
    for rows, likeness in _likeness(queries, known):
        if among_others:
            likeness[np.arange(len(rows)), rows] = -np.inf
        places, nearest = np.nonzero(likeness == likeness.max(axis=1, keepdims=True))
        right = known_labels[nearest] == query_labels[rows[places]]
        hits += float((np.bincount(places, right) / np.bincount(places)).sum())
    return hits / len(queries)


def _likeness(queries: np.ndarray, keys: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields rows of queries, and their cosines `(rows, N)` with all keys: N x N would be 8 GB of 32,000."""
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        rows = np.arange(start, min(start + _QUERIES_AT_ONCE, len(queries)))
        yield rows, np.round(queries[rows] @ keys.T, 9)  # what differs by rounding alone is equal


def _unit(embeddings: ArrayLike, argument: str) -> np.ndarray:
    """Embeddings as float64 `(N, D)` of length one, zeros as zeros, or ValueError."""
    embeddings = np.asarray(embeddings, dtype=np.float64)
    if embeddings.ndim != 2 or 0 in embeddings.shape or not np.isfinite(embeddings).all():
        raise ValueError(
            f"`{argument}` must be finite numbers of shape (N, D). Received: shape {embeddings.shape}"
        )
    length = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings / np.where(length > 0, length, 1.0)
