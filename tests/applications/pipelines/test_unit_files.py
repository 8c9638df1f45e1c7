"""Battles written and read: npz and TFRecord, whole and damaged."""

import numpy as np
import pytest

from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.tfrecord import frame_record
from zorro_keras.applications.pipelines.unit_battle import Battle, checked_battle
from zorro_keras.applications.pipelines.unit_files import (
    SUFFIXES,
    battle_digest,
    open_unit_file,
    unit_paths,
    write_battles,
)
from zorro_keras.streams import EntityFeature

pytestmark = pytest.mark.tensorflow
FEATURES = tuple(EntityFeature(name, "scaled") for name in "abc")
RNG = np.random.default_rng(0)
BATTLES = [
    Battle(RNG.normal(size=(size, 3)).astype("float32"), RNG.integers(2, size=size).astype(bool))
    for size in (5, 2, 7)
]


def read(path):
    file = open_unit_file(path, 3)
    return [checked_battle(file[row], FEATURES, 7, path=path, row=row) for row in range(len(file))]


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_written_is_read(tmp_path, suffix, labelled):
    battles = BATTLES if labelled else [Battle(battle.units) for battle in BATTLES]
    path = tmp_path / f"some{suffix}"
    write_battles(path, battles)
    found = read(path)
    assert [battle_digest(battle) for battle in found] == [battle_digest(battle) for battle in battles]
    assert all((battle.selected is not None) == labelled for battle in found)
    before = path.read_bytes()
    write_battles(path, battles)
    assert path.read_bytes() == before


def test_a_single_battle_needs_no_axis_for_it(tmp_path):
    np.savez(tmp_path / "one.npz", units=BATTLES[0].units, selected=BATTLES[0].selected)
    (battle,) = read(tmp_path / "one.npz")
    assert battle_digest(battle) == battle_digest(BATTLES[0])


def test_equal_battles_have_equal_digests_and_others_do_not():
    units, selected = BATTLES[0].units, BATTLES[0].selected
    digests = {
        battle_digest(battle)
        for battle in (Battle(units), Battle(units, selected), Battle(units, ~selected), Battle(units + 1))
    }
    assert len(digests) == 4 and battle_digest(Battle(units.copy(), selected.copy())) in digests


@pytest.mark.parametrize("arrays, message", [
    ({"things": np.zeros((2, 3))}, "holds no array `units`"),
    ({"units": np.zeros((2, 5, 3)), "selected": np.zeros((3, 5))}, "as many battles. Received: .*'units': 2"),
])  # fmt: skip
def test_an_npz_file_of_other_arrays_is_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(SourceError, match=message):
        open_unit_file(tmp_path / "bad.npz", 3)


@pytest.mark.parametrize("shape", [(), (3,), (2, 2, 5, 3)])
def test_units_of_another_rank_are_refused(tmp_path, shape):
    np.savez(tmp_path / "bad.npz", units=np.zeros(shape))
    with pytest.raises(SourceError, match=r"`units` must have the shape \(B, M, F\) or \(M, F\)") as error:
        open_unit_file(tmp_path / "bad.npz", 3)
    assert error.value.reason == "bad_schema" and str(error.value).count(f"Received: {shape}") == 1


def test_a_file_without_a_battle_is_refused(tmp_path):
    np.savez(tmp_path / "none.npz", units=np.zeros((0, 5, 3)), padding_mask=np.zeros((0, 5)))
    (tmp_path / "none.tfrecord").write_bytes(b"")
    for name, reason in (("none.npz", "empty_source"), ("none.tfrecord", "zero_length")):
        with pytest.raises(SourceError, match="The file holds no battle") as error:
            open_unit_file(tmp_path / name, 3)
        assert error.value.reason == reason and error.value.path.endswith(name)


def test_what_is_no_npz_file_is_refused(tmp_path):
    path = tmp_path / "bad.npz"
    write_battles(path, BATTLES)
    whole = path.read_bytes()
    for content in (b"", b"some text", whole[:-30], whole[:90] + b"\xff\xff\xff" + whole[93:]):
        path.write_bytes(content)
        with pytest.raises(SourceError, match="not a readable npz file"):
            open_unit_file(path, 3)
    np.savez(path, units=np.array([{"a": 1}], dtype=object))
    with pytest.raises(SourceError, match="allow_pickle=False"):
        open_unit_file(path, 3)


def test_a_damaged_record_is_named(tmp_path):
    path = tmp_path / "bad.tfrecord"
    write_battles(path, BATTLES)
    whole = bytearray(path.read_bytes())
    path.write_bytes(whole[:-1])
    with pytest.raises(SourceError, match="The file is cut"):
        open_unit_file(path, 3)
    whole[-9] ^= 1
    path.write_bytes(whole)
    file = open_unit_file(path, 3)
    assert len(file) == 3 and file[1]["units"].shape == (2, 3)
    with pytest.raises(SourceError, match="A record is damaged") as error:
        file[2]
    assert (error.value.row, error.value.reason) == ("battle 2", "checksum")


def test_records_of_something_else_are_refused(tmp_path):
    import tensorflow as tf

    def example(**feature):
        return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()

    floats = tf.train.Feature(float_list=tf.train.FloatList(value=[1.0] * 7))
    for payload, message in (
        (b"\xff\xff\xff", "no tf.train.Example"),
        (example(others=floats), "holds no `units`"),
        (example(units=floats), "must be 3 floats a unit. Received: 7 floats"),
        (example(units=tf.train.Feature()), "Received: 0 floats"),
    ):
        (tmp_path / "bad.tfrecord").write_bytes(frame_record(payload))
        with pytest.raises(SourceError, match=message):
            open_unit_file(tmp_path / "bad.tfrecord", 3)[0]


def test_files_are_found_in_folders_and_nothing_is_an_error(tmp_path):
    with pytest.raises(SourceError, match="no such file"):
        unit_paths(tmp_path / "missing")
    (tmp_path / "notes.txt").write_text("no battle")
    for source in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(SourceError, match=r"files must end in .npz or .tfrecord"):
            unit_paths(source)
    (tmp_path / "below").mkdir()
    for name in ("b.npz", "below/a.tfrecord"):
        write_battles(tmp_path / name, BATTLES)
    assert [str(path.relative_to(tmp_path)) for path in unit_paths(tmp_path)] == ["b.npz", "below/a.tfrecord"]


def test_what_cannot_be_written_is_refused(tmp_path):
    for path, battles in (
        ("a.npz", []),
        ("a.csv", BATTLES),
        ("a.npz", [BATTLES[0], Battle(BATTLES[1].units)]),
    ):
        with pytest.raises(ValueError, match="Give at least one battle"):
            write_battles(tmp_path / path, battles)
    assert not list(tmp_path.iterdir())
