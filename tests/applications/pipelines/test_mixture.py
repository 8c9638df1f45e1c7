"""Data sets of sound alone, of silent video and of both become one folder of shards, to pre-train on."""

import os
import shutil

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from tests.foreign_maker import write_tar
from tests.inline_pool import InlinePool
from tests.media_maker import spoil_stream, write_clip, write_sound
from zorro_keras.applications.audio_visual_pretraining import data as pair_data
from zorro_keras.applications.audio_visual_pretraining.config import CONFIGS
from zorro_keras.applications.pipelines import prepare as prepare_module
from zorro_keras.applications.pipelines.clip_data import open_unlabelled_clips
from zorro_keras.applications.pipelines.coverage import coverage_text
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.mixture import joined, read_sources
from zorro_keras.applications.pipelines.prepare import prepare
from zorro_keras.applications.pipelines.shards import open_shards
from zorro_keras.applications.pipelines.sources import read_source
from zorro_keras.applications.training.audio_visual_preprocessor import build_preprocessor
from zorro_keras.applications.training.config import apply_overrides

SETTINGS = {"frame_rate_hz": 5.0, "sample_rate_hz": 8000, "shorter_side_px": 32, "max_bad_fraction": 1.0}
NAMES = ("both", "films", "sounds")
# What each data set has: sound, picture.
STREAMS = {"both": (True, True), "films": (False, True), "sounds": (True, False)}


@pytest.fixture(autouse=True)
def inline(monkeypatch):
    monkeypatch.setattr(prepare_module, "DecodePool", InlinePool)


@pytest.fixture(scope="module")
def data_sets(tmp_path_factory):
    """Class folders of sound alone, a CSV with splits of silent video, and a plain folder of both."""
    root = tmp_path_factory.mktemp("data_sets")
    for folder in ("sounds/rain", "sounds/wind", "films", "both"):
        (root / folder).mkdir(parents=True)
    for number in range(2):
        write_sound(root / f"sounds/{('rain', 'wind')[number]}/{number}.wav")
        write_clip(root / f"both/{number}.mp4", width_px=32, height_px=24)
    for number in range(3):
        write_clip(root / f"films/{number}.mp4", width_px=32, height_px=24, has_audio=False)
    rows = ("path,label,split", "0.mp4,swim,train", "1.mp4,run,train", "2.mp4,run,val")
    (root / "films/films.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="module")
def mixture(data_sets):
    return joined(
        {
            "sounds": read_source(data_sets / "sounds"),
            "films": read_source(data_sets / "films/films.csv"),
            "both": read_source(data_sets / "both", test_fraction=0.0),
        }
    )


@pytest.fixture
def packed(mixture, tmp_path):
    out = tmp_path / "shards"
    return prepare(mixture, out, **SETTINGS), out


def test_ids_begin_with_the_name_of_their_source_and_splits_are_kept(mixture):
    assert {entry.id: entry.split for entry in mixture.entries} == {
        "both/0.mp4": "train",
        "both/1.mp4": "train",
        "films/0.mp4": "train",
        "films/1.mp4": "train",
        "films/2.mp4": "val",
        "sounds/rain/0.wav": "train",
        "sounds/wind/1.wav": "train",
    }
    assert mixture.layout == "mixture of 3"


def test_the_order_of_the_sources_does_not_matter(data_sets):
    sources = {name: read_source(data_sets / name) for name in ("both", "sounds")}
    one, other = joined(sources), joined(dict(reversed(sources.items())))
    assert one == other and one.fingerprint == other.fingerprint


def test_every_clip_of_a_mixture_is_packed_with_what_its_data_set_has(packed):
    data = open_unlabelled_clips(packed[1])
    assert data.num_train == 6 and len(data.split("val")) == 1
    clips = [clip for split in ("train", "val") for clip in data.split(split)]
    assert {clip.id.split("/")[0] for clip in clips} == {*NAMES}
    for clip in clips:
        assert (clip.has_audio, clip.has_video) == STREAMS[clip.id.split("/")[0]], clip.id


def test_a_training_batch_holds_clips_of_all_data_sets(packed):
    settings = ["data.geometry.sample_rate_hz=8000", "training.batch_size=6"]
    config = apply_overrides(CONFIGS["tiny"], settings)
    data = pair_data.open_data(packed[1], config)
    batch = next(iter(pair_data.training_dataset(data, config, build_preprocessor(config))))
    presence = {name: np.asarray(flags) for name, flags in batch["presence"].items()}
    pairs = sorted(zip(presence["audio"].tolist(), presence["video"].tolist(), strict=True))
    assert pairs == sorted(2 * list(STREAMS.values()))
    for name, present in presence.items():
        is_something = np.asarray(batch[name]).reshape(6, -1).std(1) > 0
        np.testing.assert_array_equal(is_something, present, name)


def test_the_report_has_a_section_for_each_source(packed):
    coverage, out = packed
    assert coverage["streams"] == {"audio": 4, "video": 5, "both": 2}
    assert coverage["sources"]["films"] == {
        "layout": "CSV",
        "official": {},
        "clips": {"listed": 3, "used_whole": 3, "used_without_a_stream": 0, "skipped": 0, "shortened": 0},
        "reasons": {},
        "streams": {"audio": 0, "video": 3, "both": 0},
        "seconds": pytest.approx(3.0, abs=0.1),
        "splits": {"train": 2, "val": 1},
    }
    assert coverage["sources"]["sounds"]["streams"] == {"audio": 2, "video": 0, "both": 0}
    text = (out / "coverage.txt").read_text()
    assert text == coverage_text(coverage)
    (row,) = [line for line in text.splitlines() if line.startswith("│ films")]
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        "films", "CSV", "3", "3", "0", "0", "0", "3", "0", "0.00"
    ]  # fmt: skip


def test_a_damaged_clip_is_counted_for_its_own_source(data_sets, tmp_path):
    for name in ("both", "sounds"):
        shutil.copytree(data_sets / name, tmp_path / name)
    (tmp_path / "sounds/rain/0.wav").write_bytes(b"no media at all\n" * 50)
    spoil_stream(tmp_path / "both/1.mp4", "audio")
    paths = [tmp_path / "both", tmp_path / "sounds"]
    coverage = prepare(paths, tmp_path / "shards", on_error="drop_modality", **SETTINGS)
    sections = coverage["sources"]
    assert sections["sounds"]["clips"]["skipped"] == 1 == sections["both"]["clips"]["used_without_a_stream"]
    assert sections["both"]["streams"] == {"audio": 1, "video": 2, "both": 1}
    assert coverage["reasons"] == sections["both"]["reasons"] | sections["sounds"]["reasons"]
    for count, number in coverage["clips"].items():
        assert number == sum(section["clips"][count] for section in sections.values())


def test_clips_of_several_data_sets_have_no_labels(packed, mixture):
    assert mixture.label_names == () and not mixture.multi_label
    assert all(entry.label_indices == () for entry in mixture.entries)
    assert open_shards(packed[1]).label_names == ()


def test_labels_that_all_sources_share_are_kept(data_sets, tmp_path):
    shutil.copytree(data_sets / "sounds", tmp_path / "more")
    same = joined({"a": read_source(data_sets / "sounds"), "b": read_source(tmp_path / "more")})
    assert same.label_names == ("rain", "wind")
    assert [entry.label_indices for entry in same.entries] == [(0,), (1,), (0,), (1,)]


def test_the_shards_are_the_same_wherever_the_sources_lie(data_sets, tmp_path):
    shutil.copytree(data_sets / "both", tmp_path / "here/both")
    shutil.copytree(data_sets / "sounds", tmp_path / "far/away/sounds")
    fingerprints = set()
    for number, roots in enumerate(([data_sets] * 2, [tmp_path / "here", tmp_path / "far/away"])):
        out = tmp_path / f"shards_{number}"
        prepare([roots[0] / "both", roots[1] / "sounds"], out, **SETTINGS)
        fingerprints.add(open_shards(out).fingerprint)
    assert len(fingerprints) == 1


def test_a_clip_may_not_leave_its_own_source_for_another(data_sets, tmp_path):
    for name in ("both", "sounds"):
        shutil.copytree(data_sets / name, tmp_path / name)
    source = read_sources([tmp_path / "both", tmp_path / "sounds"])
    swapped = tmp_path / "both/0.mp4"
    swapped.unlink()
    swapped.symlink_to(tmp_path / "sounds/rain/0.wav")  # after the check of the list
    coverage = prepare(source, tmp_path / "shards", **SETTINGS)
    assert coverage["reasons"] == {"outside_root": 1}


def test_shards_of_another_library_mix_with_files(data_sets, tmp_path):
    film = (data_sets / "both/0.mp4").read_bytes()
    write_tar(tmp_path / "tars/train/000.tar", {"a.mp4": film, "b.mp4": film})
    coverage = prepare([tmp_path / "tars", data_sets / "sounds"], tmp_path / "shards", **SETTINGS)
    assert coverage["clips"]["used_whole"] == 4
    assert coverage["sources"]["tars"]["layout"] == "WebDataset"
    assert coverage["sources"]["tars"]["streams"] == {"audio": 2, "video": 2, "both": 2}


def test_one_path_is_no_mixture(data_sets):
    assert read_sources([data_sets / "sounds"]) == read_source(data_sets / "sounds")


def test_two_sources_of_one_name_are_refused_and_a_link_gives_another_name(data_sets, tmp_path):
    shutil.copytree(data_sets / "sounds", tmp_path / "other/sounds")
    paths = [data_sets / "sounds", tmp_path / "other/sounds"]
    with pytest.raises(SourceError, match="must differ in their names. Received: .*sounds' and .*sounds'"):
        read_sources(paths)
    (tmp_path / "more_sounds").symlink_to(paths[1])
    mixed = read_sources([paths[0], tmp_path / "more_sounds"])
    assert {entry.id.split("/")[0] for entry in mixed.entries} == {"sounds", "more_sounds"}


def test_packed_shards_are_refused(packed, data_sets):
    with pytest.raises(SourceError, match="these are packed already") as caught:
        read_sources([data_sets / "sounds", packed[1]])
    assert caught.value.advice == "Give the source that they were packed from."


def test_a_clip_in_two_sources_is_refused(data_sets):
    with pytest.raises(SourceError, match="in one source alone. Received: all/0.mp4 and films/0.mp4"):
        joined({"all": read_source(data_sets / "films"), "films": read_source(data_sets / "films/films.csv")})
    assert len(joined({name: read_source(data_sets / name) for name in NAMES}).entries) == 7


@pytest.mark.parametrize("name", ["", "a/b", os.fsdecode(b"caf\xe9")])
def test_a_name_that_cannot_begin_an_id_is_refused(name, data_sets):
    with pytest.raises(SourceError, match="must be text without slashes. Received: "):
        joined({name: read_source(data_sets / "both")})


def test_nothing_is_no_mixture():
    with pytest.raises(ValueError, match="`sources` must hold at least one source. Received: sources={}"):
        joined({})
    with pytest.raises(ValueError, match=r"`paths` must hold at least one path. Received: paths=\(\)"):
        read_sources(())
