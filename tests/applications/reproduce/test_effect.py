"""What a difference of two accuracies is, how sure it is, and what it says of a claim."""

import numpy as np
import pytest

from zorro_keras.applications.reproduce.effect import Effect, effect_of, verdict


def test_an_effect_is_the_difference_in_points_with_the_error_over_clips():
    first, second = [[1, 1, 1, 0], [1, 1, 0, 0]], [[1, 0, 0, 0], [1, 0, 0, 0]]
    effect = effect_of(first, second)
    assert effect.points == 37.5 and effect.by_seed == [50.0, 25.0]
    assert effect.spread == pytest.approx(25 / np.sqrt(2))
    by_clip = np.array([0.0, 100.0, 50.0, 0.0])
    assert effect.margin == pytest.approx(1.96 * np.sqrt(by_clip.var() / 4))


def test_clips_are_paired_so_equal_answers_leave_no_error():
    assert effect_of([[1, 0, 1]], [[1, 0, 1]]) == Effect(0.0, 0.0, [0.0], None)


def test_other_clips_or_seeds_are_refused():
    with pytest.raises(ValueError, match=r"same seeds and clips. Received: shapes \(1, 2\) and \(1, 3\)"):
        effect_of([[1, 0]], [[1, 0, 1]])


@pytest.mark.parametrize(
    ("points", "margin", "expects", "said"),
    [
        (3.0, 2.0, "higher", "comes out"),
        (-3.0, 2.0, "higher", "does not come out"),
        (3.0, 4.0, "higher", "within the spread"),
        (-1.0, 2.0, "near", "comes out"),
        (-9.0, 2.0, "near", "does not come out"),
        (-4.0, 2.0, "near", "within the spread"),
        (-3.0, 2.0, "either", "a difference"),
        (3.0, 4.0, "either", "within the spread"),
    ],
)
def test_a_verdict_is_what_the_whole_interval_says(points, margin, expects, said):
    assert verdict(Effect(points, margin, [points], None), expects) == said


def test_one_seed_that_disagrees_leaves_nothing_said():
    assert verdict(Effect(3.0, 2.0, [7.0, -1.0], 5.7), "higher") == "within the spread"
    assert verdict(Effect(3.0, 2.0, [2.0, 4.0], 1.4), "higher") == "comes out"
    assert verdict(Effect(-1.0, 2.0, [4.0, -6.0], 7.1), "near") == "within the spread"
