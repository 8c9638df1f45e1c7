import numpy as np
import pytest

from tests.backend import array
from zorro_keras.applications.training.losses import as_probabilities

NONE = [float("nan")] * 3


def test_ints_become_rows_and_probabilities_stay():
    np.testing.assert_array_equal(array(as_probabilities([2, 0], 3)), [[0, 0, 1], [1, 0, 0]])
    soft = np.array([[0.2, 0.3, 0.5]], "float32")
    np.testing.assert_array_equal(array(as_probabilities(soft, 3)), soft)


@pytest.mark.parametrize("wrong", [3, -1, 1000])
def test_a_label_that_is_no_class_is_not_a_number(wrong):
    np.testing.assert_array_equal(array(as_probabilities([1, wrong], 3)), [[0, 1, 0], NONE])


def test_a_label_of_weight_zero_may_be_anything():
    found = as_probabilities([-1, -1, 7], 3, np.array([[0.0], [1.0], [0.0]], "float32"))
    np.testing.assert_array_equal(array(found), [[0, 0, 0], NONE, [0, 0, 0]])
