"""Batches of pictures: what is in them, and that a restart gives byte for byte what follows."""

import dataclasses
from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from tests.applications.batch_parts import check_parts, positions_read
from tests.image_maker import class_folders, encoded, pixels, write
from zorro_keras.applications.image_classification import data as image_data
from zorro_keras.applications.image_classification.config import CONFIGS, AugmentationConfig
from zorro_keras.applications.image_classification.data import (
    evaluation_dataset,
    open_data,
    training_dataset,
)
from zorro_keras.applications.image_classification.preprocessor import ImagePreprocessor
from zorro_keras.applications.pipelines.batch_rows import BatchPart
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.image_crops import evaluation_image

TINY = CONFIGS["tiny"]
SIZE = 13


def config(augmentation=TINY.data.augmentation, batch_size=4, **data):
    return dataclasses.replace(
        TINY,
        data=dataclasses.replace(
            TINY.data, size_px=SIZE, crop_fraction=0.875, augmentation=augmentation, **data
        ),
        training=dataclasses.replace(TINY.training, batch_size=batch_size),
    )


PREPROCESSOR = ImagePreprocessor(SIZE, TINY.data.mean, TINY.data.std, ["ant", "bee", "cow"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return class_folders(tmp_path_factory.mktemp("pictures"), count=5)


def batches(folder, settings, count, start_step=0, **options):
    data = open_data(folder, settings)
    dataset = training_dataset(data, settings, PREPROCESSOR, start_step=start_step, **options)
    return list(dataset.take(count).as_numpy_iterator())


@pytest.mark.slow
@pytest.mark.parametrize(
    "augmentation", [TINY.data.augmentation, AugmentationConfig()], ids=["tiny", "paper"]
)
def test_a_restart_gives_byte_for_byte_what_follows(folder, augmentation):
    settings = config(augmentation)
    whole = batches(folder, settings, 6)
    for start in (1, 4):
        for found, expected in zip(
            batches(folder, settings, 2, start), whole[start : start + 2], strict=True
        ):
            tf.nest.map_structure(np.testing.assert_array_equal, found, expected)
    images = [image.tobytes() for x, _, _ in whole for image in x["image"]]
    assert len(set(images)) == len(images)  # and no two are alike


@pytest.mark.parametrize(
    "augmentation", [TINY.data.augmentation, AugmentationConfig()], ids=["tiny", "paper"]
)
def test_a_training_batch_is_normalised_pictures_and_class_shares(folder, augmentation):
    for x, y, weight in batches(folder, config(augmentation), 3):
        assert x["image"].shape == (4, SIZE, SIZE, 3) and x["image"].dtype == np.float32
        assert np.isfinite(x["image"]).all() and 0.05 < x["image"].std() < 3
        assert y.shape == (4, 3) and y.sum(1) == pytest.approx(np.ones(4))
        assert weight.tolist() == [1.0] * 4


def test_mixed_batches_show_two_pictures_each_and_every_picture_once_in_a_pass(folder):
    plain = AugmentationConfig(
        crop_area=(1.0, 1.0), flip_rate=0.0, rand_augment_layers=0, mixup_alpha=1.0, cutmix=False
    )
    classes = sum(y.sum(0) for _, y, _ in batches(folder, config(plain, batch_size=1), 15))
    # 15 examples of 30 pictures: two passes over 15, so every class has a third of all shares, about.
    assert classes.sum() == pytest.approx(15) and (classes > 2).all()
    _, y, _ = batches(folder, config(plain), 1)[0]
    assert ((y > 0).sum(1) <= 2).all()


def test_another_seed_is_another_order_and_other_crops(folder):
    settings = config()
    other = dataclasses.replace(settings, training=dataclasses.replace(settings.training, seed=5))
    one, two = (batches(folder, choice, 1)[0] for choice in (settings, other))
    assert not np.array_equal(one[0]["image"], two[0]["image"])


def test_evaluation_sees_every_picture_once_and_nothing_random(folder):
    settings = config()
    data = open_data(folder, settings)
    dataset, ids = evaluation_dataset(data, settings, PREPROCESSOR)
    assert len(dataset) == 4
    found = list(dataset.as_numpy_iterator())
    assert ids == [entry.id for entry in data.source.split("test")] and len(found) == 4
    assert np.concatenate([weight for _, _, weight in found]).tolist() == [1.0] * 15 + [0.0]
    first = data.source.split("test")[1]
    image = evaluation_image(pixels(21, 24, 1001), SIZE).numpy()  # 1.png of the first class
    assert first.id.endswith("ant/1.png")
    expected = (image - np.array(TINY.data.mean)) / np.array(TINY.data.std)
    np.testing.assert_allclose(found[0][0]["image"][1], expected, atol=1e-4)
    assert found[0][1][1].tolist() == [1.0, 0.0, 0.0]


def test_val_is_evaluated_where_there_is_no_test_split(tmp_path):
    data = open_data(class_folders(tmp_path, splits=("train", "val")), config())
    assert (data.evaluation_split, data.num_train, len(data.source.split("val"))) == ("val", 12, 12)
    dataset, ids = evaluation_dataset(data, config(), PREPROCESSOR)
    assert len(ids) == 12 and all(name.startswith("val/") for name in ids)


@pytest.mark.slow
@pytest.mark.parametrize(
    "augmentation", [TINY.data.augmentation, AugmentationConfig()], ids=["tiny", "paper"]
)
def test_a_bad_picture_weighs_nothing_and_moves_no_other(tmp_path, augmentation):
    folder = class_folders(tmp_path, count=5)
    settings = config(augmentation, on_error="skip", max_bad_fraction=0.2)
    clean = batches(folder, settings, 4)
    write(folder / "train" / "bee" / "3.png", encoded("PNG")[:99])
    spoiled = batches(folder, settings, 4)
    same = [
        np.array_equal(a, b)
        for (one, _, _), (two, _, _) in zip(clean, spoiled, strict=True)
        for a, b in zip(one["image"], two["image"], strict=True)
    ]
    assert 0 < same.count(False) <= 3
    weights = np.concatenate([weight for _, _, weight in spoiled])
    expected = 16 if augmentation.mixes else 15  # a partner goes on alone
    assert weights.sum() == expected
    assert all(np.isfinite(x["image"]).all() for x, _, _ in spoiled)
    (data, report) = (open_data(folder, settings), tmp_path / "faults.jsonl")
    dataset = training_dataset(data, settings, PREPROCESSOR, faults_path=report)
    list(dataset.take(4))
    assert "truncated" in report.read_text()


def test_an_empty_split_is_refused(tmp_path):
    data = open_data(class_folders(tmp_path, splits=("test",)), config())
    with pytest.raises(SourceError, match="`split` must be one that holds pictures"):
        training_dataset(data, config(), PREPROCESSOR)


@pytest.mark.slow
def test_hosts_that_read_their_own_rows_give_the_batches_of_one(folder, monkeypatch):
    settings = config(AugmentationConfig())  # which mixes pictures, two for a row
    make = partial(training_dataset, open_data(folder, settings), settings, PREPROCESSOR)
    check_parts(make)
    own = positions_read(monkeypatch, image_data, partial(make, part=BatchPart(1, 2)), 3)
    assert own == [at for at in range(24) if at % 8 >= 4]  # half of all
