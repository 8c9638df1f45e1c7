"""Batches of pairs: what is in them, and that a restart gives byte for byte what follows."""

import dataclasses
from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from tests import flow_maker as made
from tests.applications.batch_parts import check_parts, positions_read
from tests.image_maker import write
from zorro_keras.applications.optical_flow import data as flow_data
from zorro_keras.applications.optical_flow.config import CONFIGS, AugmentationConfig
from zorro_keras.applications.optical_flow.data import evaluation_dataset, open_data, training_dataset
from zorro_keras.applications.optical_flow.preprocessor import FlowPreprocessor
from zorro_keras.applications.pipelines.batch_rows import BatchPart
from zorro_keras.applications.pipelines.faults import MediaError, SourceError
from zorro_keras.applications.pipelines.host_errors import host_errors

TINY = CONFIGS["tiny"]
SIZE = (13, 17)
PREPROCESSOR = FlowPreprocessor(SIZE)
NOTHING = AugmentationConfig(
    scale=(0.0, 0.0), stretch=0.0, mirror_x_rate=0.0, mirror_y_rate=0.0, brightness=0.0, contrast=0.0,
    saturation=0.0, hue=0.0, erase_rate=0.0, plain_fraction=0.25, ramp_fraction=0.0,
)  # fmt: skip


def config(augmentation=None, batch_size=4, size_px=SIZE, **data):
    augmentation = AugmentationConfig(plain_fraction=0.25) if augmentation is None else augmentation
    data = dataclasses.replace(TINY.data, size_px=size_px, augmentation=augmentation, **data)
    training = dataclasses.replace(TINY.training, batch_size=batch_size, epochs=4, steps_per_epoch=3)
    return dataclasses.replace(TINY, data=data, training=training)  # 12 steps, of which 3 are plain


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made.triples(tmp_path_factory.mktemp("pairs"), count=10, splits=("train", "test"))


def batches(folder, settings, count, start_step=0, **options):
    data = open_data(folder, settings)
    dataset = training_dataset(data, settings, PREPROCESSOR, start_step=start_step, **options)
    return list(dataset.take(count).as_numpy_iterator())


@pytest.mark.slow
def test_a_restart_gives_byte_for_byte_what_follows(folder):
    whole = batches(folder, config(), 6)
    for start in (2, 4):  # within the plain phase, and after it
        found = batches(folder, config(), 2, start)
        for one, other in zip(found, whole[start : start + 2], strict=True):
            tf.nest.map_structure(np.testing.assert_array_equal, one, other)
    pictures = [frames.tobytes() for x, _, _ in whole for frames in x["frames"]]
    assert len(set(pictures)) == len(pictures)  # and no two are alike


def test_a_batch_is_frames_in_minus_one_to_one_and_flow_in_units(folder):
    for x, y, weight in batches(folder, config(), 5):
        assert x["frames"].shape == (4, 2, *SIZE, 3) and x["frames"].dtype == np.float32
        assert -1 <= x["frames"].min() < -0.5 < 0.5 < x["frames"].max() <= 1
        assert y.shape == (4, *SIZE, 2) and 0.01 < np.abs(y).mean() < 1
        assert weight.shape == (4, *SIZE) and set(np.unique(weight)) <= {0.0, 1.0}


@pytest.mark.slow
def test_the_first_steps_show_each_pair_forward_and_reversed(folder):
    plain = batches(folder, config(NOTHING), 3)
    for x, y, weight in plain:
        for one in (0, 2):
            np.testing.assert_array_equal(x["frames"][one], x["frames"][one + 1][::-1])
            assert weight[one].all() and 0.2 < weight[one + 1].mean() < 1
            assert not y[one + 1][weight[one + 1] == 0].any()
    # Six pairs in three batches of four; after them each pair stands alone.
    pairs = {frozenset((a.tobytes(), b.tobytes())) for x, _, _ in plain for a, b in x["frames"]}
    assert len(pairs) == 6
    x, _, weight = batches(folder, config(NOTHING), 1, 3)[0]
    assert weight.all() and not np.array_equal(x["frames"][0], x["frames"][1][::-1])


def test_every_pair_is_seen_once_in_a_pass(folder):
    """Unchanged pairs of the picture's own size, found again by their flow."""
    own = (made.HEIGHT, made.WIDTH)
    known = {made.flow(number).flow.tobytes(): number for number in range(10)}
    settings = config(dataclasses.replace(NOTHING, plain_fraction=0.0), batch_size=5, size_px=own)
    seen = np.concatenate([20 * y for _, y, _ in batches(folder, settings, 4)])
    found = [known[np.float32(np.round(64 * flow) / 64).tobytes()] for flow in seen]
    assert sorted(found[:10]) == sorted(found[10:]) == list(range(10)) and found[:10] != found[10:]


@pytest.mark.slow
def test_another_seed_is_another_order(folder):
    other = config()
    other = dataclasses.replace(other, training=dataclasses.replace(other.training, seed=5))
    one, two = (batches(folder, settings, 1)[0] for settings in (config(), other))
    assert not np.array_equal(one[0]["frames"], two[0]["frames"])


def test_evaluation_sees_the_middle_of_every_pair_once(folder):
    data = open_data(folder, config())
    dataset, ids = evaluation_dataset(data, config(), PREPROCESSOR)
    found = list(dataset.as_numpy_iterator())
    assert len(dataset) == len(found) == 3 and ids == [f"test/walk{number}" for number in range(10)]
    x, y, weight = found[0]
    box = (slice(3, 16), slice(3, 20))
    frames = np.stack([made.picture(3), made.picture(4)])[:, *box]
    np.testing.assert_allclose(x["frames"][1], frames / 127.5 - 1, atol=1e-6)
    np.testing.assert_allclose(y[1], made.flow(1).flow[box] / 20, atol=1e-6)
    assert weight.all() and [float(each.mean()) for each in found[2][2]] == [1.0, 1.0, 0.0, 0.0]


def test_a_pair_smaller_than_the_crop_is_known_where_it_is(folder):
    settings = config(size_px=(24, 31))
    dataset, _ = evaluation_dataset(open_data(folder, settings), settings, FlowPreprocessor((24, 31)))
    _, y, weight = next(iter(dataset.as_numpy_iterator()))
    assert weight[0, : made.HEIGHT, : made.WIDTH].all() and weight[0].sum() == made.HEIGHT * made.WIDTH
    assert not y[0][weight[0] == 0].any()


def test_sparse_flow_keeps_its_holes(tmp_path):
    made.kitti(tmp_path)
    settings = config(batch_size=2, test_fraction=0.25)
    for _, y, weight in batches(tmp_path, settings, 4, 2):
        assert 0.05 < weight.mean() < 0.7 and not y[weight == 0].any()


@pytest.mark.slow
def test_a_bad_pair_weighs_nothing_and_moves_no_other(tmp_path):
    folder = made.triples(tmp_path, count=10, splits=("train", "test"))
    settings = config(on_error="skip", max_bad_fraction=0.2)
    clean = batches(folder, settings, 6)
    write(folder / "train" / "walk3_2.png", b"text")
    log = tmp_path / "faults.jsonl"
    spoiled = batches(folder, settings, 6, faults_path=log)
    weights = np.concatenate([weight for _, _, weight in spoiled]).mean((1, 2))
    same = [
        np.array_equal(one, two)
        for (x, _, _), (z, _, _) in zip(clean, spoiled, strict=True)
        for one, two in zip(x["frames"], z["frames"], strict=True)
    ]
    assert 1 <= same.count(False) <= 4 and [not each for each in same] == (weights == 0).tolist()
    assert all(np.isfinite(x["frames"]).all() and np.isfinite(y).all() for x, y, _ in spoiled)
    assert "not_image" in log.read_text()
    data = open_data(folder, config())
    with pytest.raises(MediaError, match="is not a JPEG"), host_errors(data.faults):
        list(training_dataset(data, config(), PREPROCESSOR).take(6))


def test_val_is_evaluated_where_there_is_no_test_split_and_empty_splits_are_refused(tmp_path):
    made.flying_chairs(tmp_path)
    data = open_data(tmp_path, config())
    assert (data.evaluation_split, data.num_train, len(data.source.split("val"))) == ("val", 2, 1)
    with pytest.raises(SourceError, match="`split` must be one that holds pairs"):
        evaluation_dataset(data, config(), PREPROCESSOR, split="test")
    with pytest.raises(ValueError, match="`start_step` must not be negative"):
        training_dataset(data, config(), PREPROCESSOR, start_step=-1)


@pytest.mark.slow
def test_hosts_that_read_their_own_rows_give_the_batches_of_one(folder, monkeypatch):
    settings = config()
    make = partial(training_dataset, open_data(folder, settings), settings, PREPROCESSOR)
    check_parts(make, count=4, steps=6)  # three of pairs forward and reversed, then three of changed ones
    own = positions_read(monkeypatch, flow_data, partial(make, part=BatchPart(1, 2)), 2)
    assert own == [8, 9, 12, 13]  # six pairs come first
