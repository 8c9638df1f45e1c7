import numpy as np
import pytest

from zorro_keras.applications.starcraft_units.scores import chance_scores, selection_scores

REAL = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]], bool)
SELECTED = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]], bool)


def test_the_figures_are_those_of_real_units():
    logits = np.array([[3.0, 1.0, -2.0, 9.0], [-1.0, 2.0, 9.0, 9.0], [9.0, 9.0, 9.0, 9.0]])
    found = selection_scores(logits, SELECTED, REAL)
    assert found == pytest.approx(
        {
            "unit_accuracy": 4 / 5,
            "exact_selection": 1 / 2,
            "precision": 2 / 3,
            "recall": 1.0,
            "f1": 0.8,
            "average_precision": 1.0,
        }
    )


def test_chance_is_nothing_everything_and_a_coin():
    found = chance_scores(SELECTED, REAL)
    assert found["nothing"]["unit_accuracy"] == pytest.approx(3 / 5) and found["nothing"]["f1"] == 0.0
    assert found["everything"]["precision"] == pytest.approx(2 / 5) and found["everything"]["recall"] == 1.0
    many = np.random.default_rng(1).random((400, 50)) < 0.3
    coin = chance_scores(many, np.ones_like(many))["even_odds"]
    assert coin["unit_accuracy"] == pytest.approx(0.5, abs=0.02)
    assert coin["average_precision"] == pytest.approx(0.3, abs=0.02) and coin["exact_selection"] == 0.0


def test_where_nothing_was_to_be_selected_no_figure_is_undefined():
    found = selection_scores(np.full(REAL.shape, -1.0), np.zeros_like(REAL), REAL)
    assert found["unit_accuracy"] == found["exact_selection"] == 1.0
    assert found["precision"] == found["recall"] == found["average_precision"] == 0.0
