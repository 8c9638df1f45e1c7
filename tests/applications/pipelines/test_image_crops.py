"""What is looked at: evaluation's crop line by line, and a random crop that keeps its promises."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests.image_maker import pixels
from zorro_keras.applications.pipelines.image_crops import (
    evaluation_crop_box,
    evaluation_image,
    evaluation_view,
    inception_crop_box,
    random_flip,
    resize,
)
from zorro_keras.applications.pipelines.image_resize import bicubic_matrix

# TensorFlow takes the weights of its cubic from a table of 1,024 places between two pixels.
TABLE_ERROR = 0.3  # of 255


def keys(distance):
    """Keys' cubic convolution kernel, a = -1/2."""
    distance = abs(distance)
    if distance <= 1:
        return 1.5 * distance**3 - 2.5 * distance**2 + 1
    if distance < 2:
        return -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    return 0.0


def resized_line(line, size):
    """One line of samples `(S, ...)` at another size, sample by sample."""
    result = []
    for place in range(size):
        centre = (place + 0.5) * len(line) / size - 0.5
        first = math.floor(centre) - 1
        used = [index for index in range(first, first + 4) if 0 <= index < len(line)]
        weights = [keys(centre - index) for index in used]
        total = sum(
            weight * line[index].astype("float64") for weight, index in zip(weights, used, strict=True)
        )
        result.append(total / sum(weights))
    return np.stack(result)


def seen_by_evaluation(image, size):
    """Section 4.5's evaluation in numpy: centre square of 224/256 of the shorter side, bicubic, unclamped."""
    height, width = image.shape[:2]
    side = math.floor((224 / 256) * min(height, width))
    top, left = (height - side + 1) // 2, (width - side + 1) // 2
    square = image[top : top + side, left : left + side]
    rows = resized_line(square, size)
    return resized_line(rows.swapaxes(0, 1), size).swapaxes(0, 1)


@pytest.mark.parametrize(("height", "width"), [(37, 53), (53, 38), (16, 16), (2, 3), (113, 41)])
def test_evaluation_sees_what_the_recipe_says(height, width):
    rng = np.random.default_rng(height)
    image = rng.integers(0, 256, (height, width, 3)).astype("uint8")
    found = evaluation_image(tf.constant(image), 29).numpy()
    difference = np.abs(found - seen_by_evaluation(image, 29))
    assert difference.max() < TABLE_ERROR and difference.mean() < TABLE_ERROR / 5
    if min(height, width) > 3:
        assert found.min() < 0 and found.max() > 255  # not clamped


def test_a_batch_of_open_size_is_seen_by_exact_weights():
    seen = tf.function(lambda images: evaluation_view(images, 29), autograph=False)
    signature = tf.TensorSpec([None, None, None, 3], tf.uint8)
    graph = seen.get_concrete_function(signature)
    for height, width in ((31, 47), (64, 33)):
        images = np.random.default_rng(height).integers(0, 256, (2, height, width, 3)).astype("uint8")
        expected = np.stack([seen_by_evaluation(image, 29) for image in images])
        np.testing.assert_allclose(graph(tf.constant(images)), expected, atol=1e-3)


@pytest.mark.parametrize(
    ("height", "width", "box"),
    [(256, 256, (16, 16, 224, 224)), (375, 500, (24, 86, 328, 328)), (257, 300, (17, 38, 224, 224))],
)
def test_the_corner_is_rounded_up(height, width, box):
    assert tuple(evaluation_crop_box(height, width).numpy()) == box


@pytest.mark.parametrize(("size_in", "size_out"), [(7, 7), (5, 17), (41, 13), (1, 3), (2, 2)])
def test_the_matrix_resizes_as_tensorflow_does(size_in, size_out):
    image = np.random.default_rng(0).integers(0, 256, (size_in, size_in, 3)).astype("uint8")
    matrix = bicubic_matrix(size_in, size_out)
    by_matrix = np.einsum("iy,jx,yxc->ijc", matrix, matrix, image.astype("float32"))
    np.testing.assert_allclose(resize(tf.constant(image), size_out), by_matrix, atol=TABLE_ERROR)


def boxes(height, width, count=300, **options):
    def draw(seed):
        return inception_crop_box(height, width, tf.stack([7, seed]), **options)

    return tf.map_fn(draw, tf.range(count)).numpy()


def test_random_crops_keep_area_aspect_and_place():
    top, left, height, width = boxes(80, 100).T
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + height <= 80).all() and (left + width <= 100).all()
    area, aspect = height * width / 8000, width / height
    assert area.min() > 0.07 and area.max() <= 1.0 and area.std() > 0.15
    assert aspect.min() > 0.7 and aspect.max() < 1.4 and aspect.std() > 0.1


def test_the_limits_of_area_and_aspect_are_followed():
    _, _, height, width = boxes(90, 90, 100, area=(0.5, 0.6), aspect=(1.0, 1.1)).T
    assert (height * width / 8100 > 0.47).all() and (height * width / 8100 < 0.63).all()
    assert (width >= height - 1).all() and (width <= 1.15 * height).all()


def test_a_picture_without_a_fitting_crop_gives_the_evaluation_crop():
    expected = evaluation_crop_box(8, 300).numpy()
    assert (boxes(8, 300, 20, area=(0.9, 1.0)) == expected).all()


def test_half_of_the_pictures_are_mirrored():
    image = tf.constant(pixels(5, 7))
    flipped = [np.array_equal(random_flip(image, [3, seed]), image[:, ::-1]) for seed in range(60)]
    assert 15 < sum(flipped) < 45
    assert np.array_equal(random_flip(image, [3, 1], 0.0), image)
