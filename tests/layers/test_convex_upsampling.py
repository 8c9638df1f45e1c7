"""RAFT's upsampling: every fine pixel a mean of the coarse cells around it."""

import keras
import numpy as np
import pytest

from tests.backend import array, compiled
from zorro_keras import layers
from zorro_keras.layers.convex_upsampling import upsample


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def line_by_line(values, logits, step):
    """The sum as it is written: pixel by pixel, neighbour by neighbour, in float64."""
    batch, height, width, channels = values.shape
    fine = np.zeros((batch, height * step, width * step, channels))
    for b, y, x in np.ndindex(batch, height * step, width * step):
        cell = y // step, x // step
        place = (y % step) * step + x % step
        numbers = [np.exp(np.float64(logits[b, *cell, n * step**2 + place])) for n in range(9)]
        for n, number in enumerate(numbers):
            row = min(max(cell[0] + n // 3 - 1, 0), height - 1)
            column = min(max(cell[1] + n % 3 - 1, 0), width - 1)
            fine[b, y, x] += number / sum(numbers) * values[b, row, column]
    return fine


def test_it_is_the_sum_over_nine_cells_written_out():
    values, logits = normal(2, 3, 5, 7), 2 * normal(2, 3, 5, 9 * 4, seed=1)
    fine = array(compiled(lambda v, g: upsample(v, g, 2))(values, logits))
    np.testing.assert_allclose(fine, line_by_line(values, logits, 2), atol=1e-5)
    swapped = logits.reshape(2, 3, 5, 9, 2, 2).swapaxes(4, 5).reshape(logits.shape)
    assert np.abs(fine - line_by_line(values, swapped, 2)).max() > 0.1  # a positive control


def test_it_stays_between_the_cells_and_keeps_a_constant():
    values, logits = normal(1, 3, 5, 2), 5 * normal(1, 3, 5, 9 * 9, seed=1)
    fine = array(upsample(values, logits, 3))
    assert values.min() <= fine.min() and fine.max() <= values.max()
    constant = np.full((1, 3, 5, 2), 0.7, "float32")
    np.testing.assert_allclose(array(upsample(constant, logits, 3)), 0.7, atol=1e-6)


def test_a_weight_on_one_neighbour_copies_that_cell():
    values = normal(1, 3, 5, 2)
    logits = np.zeros((1, 3, 5, 9, 4), "float32")
    logits[..., 5, :] = 100  # the cell to the right
    fine = array(upsample(values, logits.reshape(1, 3, 5, 36), 2))
    right = values[:, :, [1, 2, 3, 4, 4]]
    np.testing.assert_allclose(fine, right.repeat(2, axis=1).repeat(2, axis=2), atol=1e-6)


def test_answers_are_cut_to_the_picture_and_start_at_zero():
    head = layers.ConvexUpsampling(step=4, hidden_dim=11, scale=0.01)
    answers = normal(2, 15, 13)
    fine = array(head(answers, grid=(1, 3, 5), size=(11, 17)))
    assert fine.shape == (2, 11, 17, 2) and not fine.any()
    head.values_dense.set_weights([normal(13, 2, seed=1), normal(2, seed=2)])
    fine = array(head(answers, grid=(1, 3, 5), size=(11, 17)))
    whole = array(head(answers, grid=(3, 5)))
    assert whole.shape == (2, 12, 20, 2) and fine.any()
    np.testing.assert_array_equal(fine, whole[:, :11, :17])


def test_half_precision_keeps_the_softmax_in_float32():
    values, logits = normal(1, 3, 5, 2), 30 * normal(1, 3, 5, 36, seed=1)
    half = keras.ops.cast(values, "bfloat16"), keras.ops.cast(logits, "bfloat16")
    rounded = [array(x) for x in half]
    fine = array(upsample(*half, 2))
    np.testing.assert_allclose(fine, line_by_line(*rounded, 2), atol=0.03)


def test_single_queries_have_no_neighbours():
    with pytest.raises(ValueError, match="coarse ones around it. Received: single queries"):
        layers.ConvexUpsampling()(normal(1, 3, 5))
    with pytest.raises(ValueError, match="must be positive. Received: {'step': 0"):
        layers.ConvexUpsampling(0)


def test_a_picture_head_scales_and_lays_out():
    answers = normal(2, 15, 2)
    head = layers.PictureHead(0.01)
    picture = array(head(answers, grid=(1, 3, 5), size=(3, 5)))
    np.testing.assert_allclose(picture, answers.reshape(2, 3, 5, 2) / 100, rtol=1e-6)
    np.testing.assert_allclose(array(head(answers)), answers / 100, rtol=1e-6)
