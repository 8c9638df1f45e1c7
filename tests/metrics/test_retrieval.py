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
