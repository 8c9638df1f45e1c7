"""Labels are checked before any backend can train on nonsense."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from zorro_keras.applications.pipelines.clip_labels import check_labels, class_balance, label_vector  # noqa: E402
from zorro_keras.applications.pipelines.faults import SourceError  # noqa: E402


def test_good_labels_pass():
    check_labels([("a", (0,)), ("b", (np.int64(2),))], 3, multi_label=False)
    check_labels([("a", ()), ("b", (2, 0))], 3, multi_label=True)


@pytest.mark.parametrize(
    ("indices", "multi_label", "message"),
    [
        ((3,), False, r"within \[0, 3\), received \[3\]"),
        ((-1,), True, r"within \[0, 3\), received \[-1\]"),
        ((1.7,), False, r"must be an integer, received \[1.7\]"),
        ((float("nan"),), True, "must be an integer"),
        ((True,), False, "must be an integer"),
        ((), False, "exactly one label"),
        ((0, 1), False, "exactly one label"),
        ((1, 1), True, "given twice"),
    ],
)
def test_bad_labels_are_named_with_their_clip(indices, multi_label, message):
    with pytest.raises(SourceError, match=f"1 clips have labels.*\n  b.mp4: .*{message}") as caught:
        check_labels([("a.mp4", (0,)), ("b.mp4", indices)], 3, multi_label=multi_label)
    assert caught.value.reason == "bad_label"


def test_twenty_bad_clips_are_shown_and_all_are_counted():
    with pytest.raises(SourceError, match="50 clips") as caught:
        check_labels([(f"clip {n}", (9,)) for n in range(50)], 3, multi_label=False)
    assert "clip 19:" in caught.value.message
    assert "clip 20:" not in caught.value.message


@pytest.mark.parametrize(("indices", "expected"), [([1], [0, 1, 0]), ([2, 0], [1, 0, 1]), ([], [0, 0, 0])])
def test_labels_become_vectors(indices, expected):
    assert label_vector(tf.constant(indices, tf.int64), 3).numpy().tolist() == expected


def test_a_clip_weighs_the_sum_over_its_labels_of_one_over_their_count():
    weights = class_balance([(0,), (0, 1), (0,), (2,), ()], 4)
    np.testing.assert_allclose(weights, [1 / 3, 1 / 3 + 1, 1 / 3, 1, 0])


def test_balance_shows_each_of_several_classes_alike():
    labels = [(0,)] * 90 + [(1,)] * 9 + [(2,)]
    weights = class_balance(labels, 3)
    shares = [sum(weights[row] for row, (label,) in enumerate(labels) if label == k) for k in range(3)]
    np.testing.assert_allclose(shares, 1.0)
