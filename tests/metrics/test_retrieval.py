import tracemalloc

import numpy as np
import pytest

from zorro_keras.metrics import nearest_neighbour_accuracy, recall_at

random = np.random.default_rng(0)


def test_a_query_counts_where_its_own_key_is_among_the_nearest():
    keys = np.eye(3)
    queries = np.array([[3.0, 1.0, 0.0], [2.0, 1.0, 0.0], [2.0, 1.0, 0.5]])  # ranks 1, 2 and 3
    assert recall_at(queries, keys, (1, 2, 3)) == pytest.approx({1: 1 / 3, 2: 2 / 3, 3: 1.0})


def test_it_is_what_sorting_finds():
    queries, keys = random.normal(size=(2, 17, 5))
    likeness = (queries @ keys.T) / np.linalg.norm(keys, axis=1)  # a query's own length changes no order
    ranks = [list(np.argsort(-row)).index(i) for i, row in enumerate(likeness)]
    assert recall_at(queries, keys) == {k: np.mean([rank < k for rank in ranks]) for k in (1, 5, 10)}


def test_embeddings_that_are_all_alike_score_by_chance():
    same = np.tile(random.normal(size=(1, 7)), (20, 1))
    assert recall_at(same, same) == pytest.approx({1: 0.05, 5: 0.25, 10: 0.5})
    assert recall_at(0 * same, same) == pytest.approx({1: 0.05, 5: 0.25, 10: 0.5})


def test_the_nearest_known_one_decides_the_label():
    known = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 5.0]])
    queries = np.array([[2.0, 0.1], [0.1, 2.0]])
    assert nearest_neighbour_accuracy(known, ["a", "b", "b"], queries, ["a", "a"]) == 0.5
    assert nearest_neighbour_accuracy(known, ["a", "a", "b"], queries, ["a", "b"]) == 0.75  # two as near


def test_without_queries_each_asks_the_others():
    known = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.2, 1.0]])
    assert nearest_neighbour_accuracy(known, ["a", "a", "b", "b"]) == 1.0
    assert nearest_neighbour_accuracy(known, ["a", "b", "a", "b"]) == 0.0
    assert nearest_neighbour_accuracy(np.ones((4, 2)), ["a", "a", "b", "b"]) == pytest.approx(1 / 3)


def test_blocks_of_queries_find_what_one_at_a_time_finds():
    """With ties in and across blocks: of some embeddings there are several."""
    draws = random.normal(size=(2, 40, 6))
    queries, keys = (each[random.integers(0, 40, 600)] for each in draws)
    labels = np.array(["a", "b", "c"])[random.integers(0, 3, 600)]
    likeness = np.round(_unit(queries) @ _unit(keys).T, 9)
    own = np.diagonal(likeness)[:, None]
    nearer, equal = (likeness > own).sum(axis=1), (likeness == own).sum(axis=1)
    assert (equal > 1).any() and (equal < 100).all()
    expected = {k: np.clip((k - nearer) / equal, 0, 1).mean() for k in (1, 5, 10)}
    assert recall_at(queries, keys) == pytest.approx(expected, rel=1e-12)
    nearest = [labels[row == row.max()] for row in likeness]
    hits = [(found == label).mean() for found, label in zip(nearest, labels, strict=True)]
    assert nearest_neighbour_accuracy(keys, labels, queries, labels) == pytest.approx(
        np.mean(hits), rel=1e-12
    )
    among = np.round(_unit(keys) @ _unit(keys).T, 9) - np.diag([np.inf] * 600)
    hits = [(labels[row == row.max()] == label).mean() for row, label in zip(among, labels, strict=True)]
    assert nearest_neighbour_accuracy(keys, labels) == pytest.approx(np.mean(hits), rel=1e-12)


def test_no_more_than_a_block_of_queries_is_compared_at_once():
    """Of 3,000 clips all at once would be 72 MB."""
    keys = random.normal(size=(3000, 2))
    tracemalloc.start()
    recall_at(keys, keys)
    nearest_neighbour_accuracy(keys, np.zeros(3000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6


def _unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: recall_at(np.ones((3, 2)), np.ones((4, 2))),
            r"shape \(3, 2\) of `queries`. Received: \(4, 2\)",
        ),
        (lambda: recall_at([[np.nan]], [[1.0]]), "`queries` must be finite"),
        (lambda: recall_at([[1.0]], [[1.0]], (0,)), r"`ks` must be positive. Received: ks=\(0,\)"),
        (
            lambda: nearest_neighbour_accuracy(np.ones((3, 2)), [0, 1], np.ones((1, 2)), [0]),
            r"a label for each row. Received: \(3, 2\) with \(2,\)",
        ),
        (
            lambda: nearest_neighbour_accuracy(np.ones((1, 2)), [0]),
            r"`known` must hold two at least.* Received: \(1, 2\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
