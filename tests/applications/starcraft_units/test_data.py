import dataclasses
import itertools
import json
from functools import partial

import keras
import numpy as np
import pytest

from tests.applications.batch_parts import check_parts
from zorro_keras.applications.pipelines.battle_generated import BATTLE_FEATURES, battle
from zorro_keras.applications.pipelines.faults import ConfigError, SourceError
from zorro_keras.applications.pipelines.host_errors import host_errors
from zorro_keras.applications.pipelines.unit_battle import Battle
from zorro_keras.applications.pipelines.unit_files import write_battles
from zorro_keras.applications.starcraft_units.data import evaluation_dataset, open_data, training_dataset
from zorro_keras.applications.starcraft_units.feature_tables import feature_table

pytestmark = pytest.mark.tensorflow


def batches(dataset, count):
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def equal(first, second):
    same = keras.tree.map_structure(lambda one, other: bool((one == other).all()), first, second)
    return all(keras.tree.flatten(same))


def made(count, seed=0):
    return [battle(np.random.default_rng([seed, number])) for number in range(count)]


def with_data(config, **settings):
    return dataclasses.replace(config, data=dataclasses.replace(config.data, **settings))


def test_a_batch_holds_units_masks_and_selections(data, config):
    ((x, y, weight),) = batches(training_dataset(data, config, None), 1)
    real = x["padding_mask"]["units"]
    assert x["units"].shape == (4, 24, 8) and real.shape == y.shape == weight.shape == (4, 24)
    assert (weight == real).all() and (real.sum(1) >= 8).all()
    assert (y[~real] == 0).all() and 0 < y.sum() < real.sum() and (x["units"][~real] == 0).all()


def test_training_goes_on_from_any_step(data, config):
    whole = batches(training_dataset(data, config, None), 17)  # more than two passes of 29 battles
    for start in (1, 7, 8, 15):
        rest = batches(training_dataset(data, config, None, start_step=start), 17 - start)
        assert equal(rest, whole[start:])
    other = dataclasses.replace(config, training=dataclasses.replace(config.training, seed=1))
    assert not equal(batches(training_dataset(data, other, None), 17), whole)
    with pytest.raises(ValueError, match="`start_step` must not be negative"):
        training_dataset(data, config, None, start_step=-1)


def test_each_pass_shows_every_battle_once_in_another_order(data, config):
    one = dataclasses.replace(config, training=dataclasses.replace(config.training, batch_size=1))
    tags = [x["units"][0, 0, 7] for x, _, _ in batches(training_dataset(data, one, None), 58)]
    assert sorted(tags[:29]) == sorted(tags[29:]) and tags[:29] != tags[29:] and len(set(tags)) == 29


def test_evaluation_ends_with_battles_that_weigh_nothing(data, config):
    dataset, battles = evaluation_dataset(data, config, None)
    first, second = batches(dataset, 9), batches(dataset, 9)
    assert len(first) == len(dataset) == 3 and len(battles) == 11 and equal(first, second)
    x, y, weight = first[-1]
    assert x["padding_mask"]["units"].any(1).tolist() == [True, True, True, False]
    assert weight[3].sum() == 0 and y[3].sum() == 0
    _, every = evaluation_dataset(data, config, None, whole=True)
    assert len(every) == 40


def test_alone_every_unit_has_a_battle_of_its_own(data, config):
    ((x, y, weight),) = batches(training_dataset(data, config, None), 1)
    ((alone_x, alone_y, alone_weight),) = batches(
        training_dataset(data, with_data(config, alone=True), None), 1
    )
    assert alone_x["units"].shape == (96, 1, 8) and alone_y.shape == alone_weight.shape == (96, 1)
    np.testing.assert_array_equal(alone_x["units"].reshape(4, 24, 8), x["units"])
    np.testing.assert_array_equal(alone_y.reshape(4, 24), y)


@pytest.mark.parametrize("suffix", ["npz", "tfrecord"])
def test_npz_and_tfrecord_give_the_same_batches(tmp_path, config, data, suffix):
    for split, places in data.places.items():
        write_battles(tmp_path / f"{split}-0.{suffix}", [data.battle(place) for place in places])
    found = open_data(tmp_path, config)
    assert found.fingerprint == data.fingerprint and found.num_train == 29
    one, other = (batches(training_dataset(each, config, None), 3) for each in (found, data))
    assert equal(one, other)


def test_without_names_battles_are_held_out_by_what_they_hold(tmp_path, config):
    battles = made(40)
    write_battles(tmp_path / "some.npz", battles)
    write_battles(tmp_path / "more.tfrecord", battles[:20])  # again: on the same side
    data = open_data(tmp_path, with_data(config, test_fraction=0.4))
    sides = [
        {data.battle(place).units.tobytes() for place in data.places[side]} for side in ("train", "test")
    ]
    assert not sides[0] & sides[1] and len(sides[0] | sides[1]) == 40 and 5 < len(sides[1]) < 30


def test_a_file_of_no_split_beside_others_is_refused(tmp_path, config):
    (tmp_path / "train").mkdir()
    write_battles(tmp_path / "train" / "a.npz", made(3))
    with pytest.raises(SourceError, match="No battle is in the test split, of 3"):
        open_data(tmp_path, config)
    write_battles(tmp_path / "trainers.npz", made(3))
    with pytest.raises(SourceError, match="say their split by their names") as error:
        open_data(tmp_path, config)
    assert error.value.path.endswith("trainers.npz")


def test_other_data_or_features_have_another_fingerprint(tmp_path, config, data, battles):
    (tmp_path / "table.json").write_text(
        json.dumps([{**feature.get_config(), "name": f"my {feature.name}"} for feature in BATTLE_FEATURES])
    )
    other = open_data(battles, with_data(config, features=str(tmp_path / "table.json")))
    assert other.features[0].name == "my unit_type" and other.fingerprint != data.fingerprint


def test_bad_battles_stop_the_opening(tmp_path, config):
    good = made(3)
    write_battles(tmp_path / "train.npz", good)
    write_battles(tmp_path / "test.npz", [Battle(one.units) for one in good])
    with pytest.raises(SourceError, match="does not say which units are selected"):
        open_data(tmp_path, config)
    good[1].units[2, 3] = np.nan
    write_battles(tmp_path / "test.npz", good)
    with pytest.raises(SourceError, match="`x` of the unit in slot 2 must be finite") as error:
        open_data(tmp_path, config)
    assert error.value.row == "battle 1" and error.value.path.endswith("test.npz")
    with pytest.raises(SourceError, match="between 1 and 7 real units"):
        open_data(tmp_path / "train.npz", with_data(config, num_units=7))


def test_a_file_that_changes_under_the_training_is_named(tmp_path, config):
    path = tmp_path / "train.tfrecord"
    for name in ("train", "test"):
        write_battles(tmp_path / f"{name}.tfrecord", made(3))
    data = open_data(tmp_path, config)
    content = bytearray(path.read_bytes())
    content[40] ^= 255
    path.write_bytes(content)
    with pytest.raises(SourceError, match="A record is damaged"), host_errors(data.faults):
        batches(training_dataset(data, config, None), 3)


def test_a_table_is_a_name_or_a_file(tmp_path):
    assert feature_table("battle") == BATTLE_FEATURES and len(feature_table("pysc2")) == 46
    with pytest.raises(ConfigError, match="one of .'pysc2', 'battle'., or a JSON file"):
        feature_table("pysc3")
    for text in (
        "[",
        '[{"name": "x", "kind": "number"}]',
        '[{"nom": "x"}]',
        "3",
        '[{"name": "t", "kind": "ignored"}]',
    ):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(ConfigError, match="`data.features` must be one of"):
            feature_table(str(tmp_path / "bad.json"))


def test_hosts_that_give_their_own_rows_give_the_batches_of_one(data, config):
    check_parts(partial(training_dataset, data, config, None))
