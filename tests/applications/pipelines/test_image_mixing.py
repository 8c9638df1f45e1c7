"""MixUp and CutMix: images and labels in the same shares, of the two pictures that belong together."""

import numpy as np
import pytest
import tensorflow as tf

from zorro_keras.applications.pipelines.image_mixing import beta, cutmix_masks, mix_pairs

SEEDS = (tf.constant([0, 1], tf.int64), tf.constant([0, 2], tf.int64))


def mixed(batch=8, weight=None, size=(11, 13), **options):
    """Each picture is flat and shows its number; its label is one-hot of that number."""
    count = 2 * batch
    images = np.broadcast_to(np.arange(count, dtype="float32")[:, None, None, None], (count, *size, 3))
    weight = np.ones(count, "float32") if weight is None else np.asarray(weight, "float32")
    results = mix_pairs(tf.constant(images), tf.eye(count), tf.constant(weight), *SEEDS, **options)
    return [result.numpy() for result in results]


def test_labels_have_the_shares_of_the_pixels():
    images, labels, weight = mixed()
    for row in range(8):
        share = labels[row, 2 * row]
        assert labels[row].sum() == pytest.approx(1.0)
        assert share + labels[row, 2 * row + 1] == pytest.approx(1.0)
        expected = share * 2 * row + (1 - share) * (2 * row + 1)
        assert images[row].mean() == pytest.approx(expected, abs=1e-4)
    assert (weight == 1).all()


def test_one_half_is_blended_and_the_other_cut():
    images, _, _ = mixed()
    num_values = [len(np.unique(image)) for image in images]
    assert num_values[:4] == [1] * 4  # a blend of two flat pictures is flat
    assert max(num_values[4:]) == 2
    assert all(set(np.unique(images[row])) <= {2 * row, 2 * row + 1} for row in range(4, 8))


@pytest.mark.parametrize(("options", "flat"), [({"cutmix": False}, True), ({"mixup_alpha": 0.0}, False)])
def test_either_may_be_off(options, flat):
    images, _, _ = mixed(**options)
    assert all(len(np.unique(image)) == 1 for image in images) == flat


def test_a_missing_picture_leaves_its_partner_alone():
    weight = np.ones(16)
    weight[[1, 2, 8, 13, 6, 7]] = 0
    images, labels, found = mixed(weight=weight)
    for row, picture in ((0, 0), (1, 3), (4, 9), (6, 12)):
        assert (images[row] == picture).all() and labels[row, picture] == 1
    assert found.tolist() == [1, 1, 1, 0, 1, 1, 1, 1]


def test_boxes_have_uniform_area_and_stay_inside():
    masks = cutmix_masks(SEEDS[0], 2000, 40, 60).numpy()
    assert masks.shape == (2000, 40, 60, 1) and set(np.unique(masks)) == {0.0, 1.0}
    centred = masks[(masks[:, 0] == 0).all((1, 2)) & (masks[:, -1] == 0).all((1, 2))]
    assert 0.1 < len(centred) / 2000 < 0.6  # most are cut off at the border
    for mask in masks[:50]:
        rows, columns = mask.any((1, 2)).sum(), mask.any((0, 2)).sum()
        assert mask.sum() == rows * columns
    # Area uniform in [0, 1] and centres uniform: what stays inside is 0.42 on average, by integration.
    assert masks.mean() == pytest.approx(expected_area(), abs=0.02)


def expected_area():
    rng = np.random.default_rng(0)
    side = np.sqrt(rng.uniform(size=200_000))
    inside = 1.0
    for centre in rng.uniform(size=(2, 200_000)):
        inside = inside * (np.minimum(centre + side / 2, 1) - np.maximum(centre - side / 2, 0))
    return inside.mean()


def test_shares_follow_the_beta_distribution():
    shares = beta(SEEDS[0], 20_000, 0.2).numpy()
    assert shares.min() >= 0 and shares.max() <= 1
    assert shares.mean() == pytest.approx(0.5, abs=0.02)
    assert shares.var() == pytest.approx(1 / (4 * (2 * 0.2 + 1)), abs=0.005)
