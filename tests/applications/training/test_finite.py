"""An answer that is no number is refused, and its example named."""

import numpy as np
import pytest

from zorro_keras.applications.pipelines.faults import TrainingError
from zorro_keras.applications.training.finite import check_finite

ANSWERS = np.zeros((3, 2, 5))


def test_numbers_pass_also_none_of_them():
    check_finite(ANSWERS, "evaluate", ["a", "b", "c"])
    check_finite(ANSWERS[:0], "evaluate", [])


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_the_first_bad_example_is_named(number):
    answers = ANSWERS.copy()
    answers[1:, 1, 3] = number
    with pytest.raises(
        TrainingError, match=r"The model gives a number that is not finite from audio\."
    ) as caught:
        check_finite(answers, "evaluate", ["a", "b", "c"], " from audio")
    assert (caught.value.row, caught.value.reason, caught.value.stage) == ("b", "non_finite", "evaluate")
