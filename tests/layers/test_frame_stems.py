"""Elements of several frames: neighbourhoods and convolutions."""

import keras
import numpy as np
import pytest

from tests.backend import array, compiled
from zorro_keras import layers, streams


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def neighbourhood(frames, row, column):
    """The 3 x 3 values around a pixel in every frame, zeros beyond the border, channels fastest."""
    values = []
    for frame in frames:
        for y in range(row - 1, row + 2):
            for x in range(column - 1, column + 2):
                inside = 0 <= y < frame.shape[0] and 0 <= x < frame.shape[1]
                values += list(frame[y, x]) if inside else [0.0] * frame.shape[2]
    return values


def test_a_neighbourhood_reads_frame_by_frame_row_by_row():
    pair = normal(2, 2, 5, 7, 3)
    cells = array(compiled(layers.NeighbourhoodStem(3, frames=2))(pair))
    assert cells.shape == (2, 1, 5, 7, 54)
    for place in ((0, 0), (2, 3), (4, 6)):
        np.testing.assert_array_equal(cells[1, 0][place], np.float32(neighbourhood(pair[1], *place)))
    alone = array(layers.NeighbourhoodStem(3)(pair))
    np.testing.assert_array_equal(cells[:, 0], np.concatenate([alone[:, 0], alone[:, 1]], axis=-1))


def test_a_neighbourhood_of_one_pixel_is_a_patch_of_one():
    clip = normal(2, 4, 5, 7, 3)
    stem, patches = layers.NeighbourhoodStem(1, 2, 11), layers.PatchStem((2, 1, 1), 11)
    stem.build(clip.shape), patches.build(clip.shape)
    patches.set_weights(stem.get_weights())
    np.testing.assert_allclose(array(stem(clip)), array(patches(clip)), atol=1e-6)
    assert stem.compute_output_shape((None, 4, None, 7, 3)) == (None, 2, None, 7, 11)


def test_joined_frames_are_one_picture_of_their_channels():
    pair = normal(2, 2, 8, 12, 3)
    stem = layers.FrameConvStem(5, frames=2)
    joined = array(stem(pair))
    picture = np.concatenate([pair[:, 0], pair[:, 1]], axis=-1)
    assert joined.shape == (2, 1, 2, 3, 5)
    np.testing.assert_allclose(joined[:, 0], array(stem.convolution(picture)), atol=1e-6)
    alone = layers.FrameConvStem(5)
    np.testing.assert_allclose(array(alone(pair))[:, 1], array(alone.convolution(pair[:, 1])), atol=1e-5)


def test_every_pixel_lies_in_a_cell():
    stem = layers.FrameConvStem(5, frames=2)
    odd = normal(2, 2, 9, 11, 3)
    filled = np.pad(odd, ((0, 0), (0, 0), (0, 3), (0, 1), (0, 0)))
    cells = array(stem(odd))
    assert cells.shape == stem.compute_output_shape(odd.shape) == (2, 1, 3, 3, 5)
    np.testing.assert_array_equal(cells, array(stem(filled)))


@pytest.mark.parametrize("kind", ["neighbourhood", "conv"])
def test_one_size_after_another_makes_the_elements_of_each(kind):
    stem = {"neighbourhood": layers.NeighbourhoodStem(3, 2, 5), "conv": layers.FrameConvStem(5, 2)}[kind]
    step = {"neighbourhood": 1, "conv": 4}[kind]
    stream = streams.Video(2, 8, 12, patch=(2, step, step))
    adapter = layers.InputAdapter(stream, stem=stem, positions=layers.FourierPositions(None, 2, (8, 12)))
    adapter.build((None, 2, 8, 12, 3))
    assert adapter.compute_output_spec(keras.KerasTensor((None, 2, None, None, 3))).shape == (None, None, 15)
    for size in ((8, 12), (5, 7)):
        grid = tuple(-(-side // step) for side in size)
        pair = normal(1, 2, *size, 3)
        elements = array(compiled(adapter)(pair))
        assert adapter.grid_of(pair) == (1, *grid) and elements.shape == (1, grid[0] * grid[1], 15)
        codes = adapter.positions.table(grid)
        np.testing.assert_allclose(elements[0, :, 5:], codes, atol=1e-6)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: layers.NeighbourhoodStem(2), "`size` must be odd.*Received: size=2"),
        (lambda: layers.NeighbourhoodStem(3, 0), r"Received: size and frames=\(3, 0\)"),
        (lambda: layers.FrameConvStem(3, 0), "`frames` must be positive. Received: frames=0"),
        (
            lambda: layers.NeighbourhoodStem(3, 2)(normal(1, 3, 5, 7, 3)),
            r"a multiple of 2.*\(1, 3, 5, 7, 3\)",
        ),
        (lambda: layers.FrameConvStem(3, 2)(normal(1, 3, 5, 7, 3)), r"a multiple of 2.*\(1, 3, 5, 7, 3\)"),
        (lambda: layers.NeighbourhoodStem(3)(normal(1, 5, 7, 3)), r"Frames \(B, F, Y, X, C\) are expected"),
    ],
)
def test_frames_that_cannot_be_joined_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_positions_of_pictures_do_not_tell_frames_apart():
    stream = streams.Video(2, 8, 12, patch=(1, 1, 1))
    positions = layers.FourierPositions(None, 2, (8, 12))
    with pytest.raises(ValueError, match=r"axes in front have one element. Received: a grid of \(2, 8, 12\)"):
        layers.InputAdapter(stream, stem=layers.NeighbourhoodStem(3), positions=positions)
