"""RandAugment's operations against Pillow, which they follow, and the chain of them."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from tests.image_maker import pixels
from zorro_keras.applications.pipelines.image_operations import OPERATIONS
from zorro_keras.applications.pipelines.image_rand_augment import rand_augment

IMAGE = pixels(47, 61, seed=5)


def apply(name, magnitude, seed=(0, 1), image=IMAGE):
    result = OPERATIONS[name](tf.constant(image), magnitude, tf.constant(seed, tf.int64)).numpy()
    assert result.dtype == np.uint8 and result.shape == image.shape
    return result


def by_pillow(function):
    return np.asarray(function(Image.fromarray(IMAGE))).astype(int)


def enhanced(kind, magnitude):
    return by_pillow(lambda image: kind(image).enhance(1.8 * magnitude / 10 + 0.1))


@pytest.mark.parametrize(
    ("name", "magnitude", "expected", "tolerance"),
    [
        ("auto_contrast", 5, lambda: by_pillow(ImageOps.autocontrast), 1),
        ("equalize", 5, lambda: by_pillow(ImageOps.equalize), 0),
        ("invert", 5, lambda: by_pillow(ImageOps.invert), 0),
        ("posterize", 5, lambda: by_pillow(lambda image: ImageOps.posterize(image, 2)), 0),
        ("posterize", 10, lambda: by_pillow(lambda image: ImageOps.posterize(image, 4)), 0),
        ("solarize", 5, lambda: by_pillow(lambda image: ImageOps.solarize(image, 128)), 0),
        ("solarize", 7, lambda: by_pillow(lambda image: ImageOps.solarize(image, 179)), 0),
        ("solarize_add", 5, lambda: np.where(IMAGE < 128, np.minimum(IMAGE.astype(int) + 55, 255), IMAGE), 0),
        ("colour", 2, lambda: enhanced(ImageEnhance.Color, 2), 1),
        ("colour", 9, lambda: enhanced(ImageEnhance.Color, 9), 2),
        ("contrast", 2, lambda: enhanced(ImageEnhance.Contrast, 2), 1),
        ("contrast", 9, lambda: enhanced(ImageEnhance.Contrast, 9), 1),
        ("brightness", 3, lambda: enhanced(ImageEnhance.Brightness, 3), 1),
        ("brightness", 8, lambda: enhanced(ImageEnhance.Brightness, 8), 1),
        ("sharpness", 1, lambda: enhanced(ImageEnhance.Sharpness, 1), 1),
        ("sharpness", 9, lambda: enhanced(ImageEnhance.Sharpness, 9), 2),
    ],
)
def test_an_operation_gives_what_pillow_gives(name, magnitude, expected, tolerance):
    expected = expected()
    assert np.abs(apply(name, magnitude).astype(int) - expected).max() <= tolerance
    assert (expected != IMAGE).any()


@pytest.mark.parametrize("name", ["colour", "contrast", "brightness", "sharpness"])
def test_enhancements_change_nothing_at_the_published_magnitude(name):
    np.testing.assert_array_equal(apply(name, 5.0), IMAGE)


def both_signs(name, magnitude):
    """The two results that a sign can give, found by trying seeds."""
    found = {apply(name, magnitude, (0, seed)).tobytes() for seed in range(12)}
    return [np.frombuffer(result, np.uint8).reshape(IMAGE.shape) for result in found]


@pytest.mark.parametrize(("name", "axis"), [("translate_x", 1), ("translate_y", 0)])
def test_translation_moves_by_ten_pixels_either_way_and_leaves_grey(name, axis):
    results, size = both_signs(name, 1.0), IMAGE.shape[axis]
    assert len(results) == 2
    for shift in (10, -10):
        expected = np.roll(IMAGE, shift, axis)
        empty = np.arange(10) if shift > 0 else np.arange(size - 10, size)
        expected[(empty, slice(None)) if axis == 0 else (slice(None), empty)] = 128
        assert any(np.array_equal(result, expected) for result in results)


def test_shear_moves_rows_by_their_distance_from_the_top():
    for result in both_signs("shear_x", 10.0):
        np.testing.assert_array_equal(result[0], IMAGE[0])
        shift = 12  # 0.3 x row 40
        moved = [np.array_equal(result[40, 20:40], IMAGE[40, 20 + way : 40 + way]) for way in (shift, -shift)]
        assert sum(moved) == 1


def test_rotation_turns_about_the_centre():
    results = both_signs("rotate", 10.0)
    assert len(results) == 2
    for result in results:
        np.testing.assert_array_equal(result[23, 30], IMAGE[23, 30])
        assert (result[0, 0] == 128).all() and (result[-1, -1] == 128).all()
    # At half a turn per step the table would be exact: a quarter turn of a square is.
    square = IMAGE[:41, :41]
    turned = OPERATIONS["rotate"](tf.constant(square), 30.0, tf.constant([0, 1], tf.int64)).numpy()
    assert any(np.abs(turned.astype(int) - np.rot90(square, turns)).max() == 0 for turns in (1, 3))


def test_cutout_greys_a_square():
    sizes = []
    for seed in range(20):
        hidden = (apply("cutout", 2.0, (1, seed), np.zeros_like(IMAGE)) == 128).all(-1)
        rows, columns = hidden.any(1).sum(), hidden.any(0).sum()
        assert hidden.sum() == rows * columns
        sizes.append((rows, columns))
    assert max(sizes) == (16, 16) and min(sizes) < (16, 16)  # cut off at the border


def test_flat_and_tiny_images_survive_every_operation():
    for image in (np.full((9, 7, 3), 93, "uint8"), np.zeros((2, 2, 3), "uint8")):
        for name in OPERATIONS:
            apply(name, 5.0, image=image)
    assert (apply("equalize", 5, image=np.full((9, 7, 3), 93, "uint8")) == 93).all()


@functools.cache
def augmented(num_layers):
    layered = tf.function(functools.partial(rand_augment, num_layers=num_layers, magnitude=6.0))
    return [layered(tf.constant(IMAGE), tf.constant([0, seed], tf.int64)).numpy() for seed in range(60)]


def test_every_operation_is_chosen_and_the_seed_decides():
    first = augmented(1)
    assert all(image.shape == IMAGE.shape and image.dtype == np.uint8 for image in first)
    assert len({image.tobytes() for image in first}) >= 16
    again = rand_augment(tf.constant(IMAGE), tf.constant([0, 7], tf.int64), num_layers=1, magnitude=6.0)
    np.testing.assert_array_equal(again, first[7])


def test_no_layer_leaves_the_image():
    image = rand_augment(tf.constant(IMAGE), tf.constant([0, 7], tf.int64), num_layers=0)
    np.testing.assert_array_equal(image, IMAGE)


def test_what_is_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"within \[0, 10\]. Received: num_layers=4, magnitude=11"):
        rand_augment(tf.constant(IMAGE), tf.constant([0, 7], tf.int64), magnitude=11)
