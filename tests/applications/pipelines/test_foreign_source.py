"""Shards of other libraries are told from media, and their names say the split."""

import os

import pytest

from tests.clip_maker import write_list
from tests.foreign_maker import dmvr_record, write_records, write_tar
from tests.media_maker import write_clip
from zorro_keras.applications.pipelines.clip_data import open_clip_data
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.foreign_source import find_foreign_shards, read_foreign_source
from zorro_keras.applications.pipelines.prepare import prepare
from zorro_keras.applications.pipelines.sources import read_source

SHARDS = (
    *("a.tfrecord", "a.tfrecords", "a.TFREC", "a-00000-of-00010", "a.tfrecord-00000-of-00010"),
    *("a.tfrecord.gz", "a.tar", "a.tar.gz", "a.tgz"),
)


@pytest.mark.parametrize("name", SHARDS)
def test_shards_are_told_by_their_names(tmp_path, name):
    (tmp_path / "sub").mkdir()
    path = tmp_path / "sub" / name
    path.write_bytes(b"")
    assert find_foreign_shards(tmp_path) == [str(path)] == find_foreign_shards(path)


@pytest.mark.parametrize(
    "name", ["a.csv", "a-00000-of-00010.parquet", "a.parquet", "a.tar.index.npz", ".a.tar"]
)
def test_other_files_are_no_shards(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    assert find_foreign_shards(tmp_path) == []
    assert read_foreign_source(tmp_path) is None


def test_media_files_beside_shards_are_what_counts(tmp_path):
    (tmp_path / "dog").mkdir()
    write_clip(tmp_path / "dog/a.mp4")
    (tmp_path / "features.tar").write_bytes(b"")
    assert find_foreign_shards(tmp_path) == []
    assert read_source(tmp_path).ignored == ("features.tar",)
    assert find_foreign_shards(tmp_path / "dog/a.mp4") == []


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train-0-of-1", "val-0-of-1"), ["train", "val"]),
        (("bal_train/00.tfrecord", "eval/00.tfrecord"), ["train", "test"]),
        (("a.validation.tfrecord", "a.testing.tfrecord"), ["test", "val"]),
        (("k/dev/0.tfrecord", "k/train/0.tfrecord"), ["val", "train"]),
        # The nearest word counts, and a word is a whole one.
        (("train/test.tfrecord", "train/contest.tfrecord"), ["train", "test"]),
    ],
)
def test_the_name_of_a_shard_or_of_a_folder_above_it_says_the_split(tmp_path, names, splits):
    for name in names:
        write_records(tmp_path / name, [dmvr_record("a")])
    assert [entry.split for entry in read_foreign_source(tmp_path).entries] == splits


def test_shards_that_do_not_all_name_a_split_are_refused(tmp_path):
    for name in ("train.tfrecord", "other.tfrecord"):
        write_records(tmp_path / name, [dmvr_record("a")])
    with pytest.raises(
        SourceError, match="Either all shards name their split or none. Received: 1 that do not"
    ):
        read_foreign_source(tmp_path)


def test_without_any_split_clips_of_one_film_stay_together(tmp_path):
    records = [dmvr_record("a", name=f"{number // 2}.mp4", seconds=0.1) for number in range(20)]
    write_records(tmp_path / "hmdb-0-of-1", records)
    source = read_foreign_source(tmp_path, test_fraction=0.3)
    split_of = {entry.id.rpartition("#")[2]: entry.split for entry in source.entries}
    assert 0 < [*split_of.values()].count("test") < 14
    assert all(split_of[str(number)] == split_of[str(number + 1)] for number in range(0, 20, 2))
    assert read_foreign_source(tmp_path, test_fraction=0.3) == source
    assert read_foreign_source(tmp_path, test_fraction=0.3, seed=1) != source


def test_tars_and_records_in_one_source_are_refused(tmp_path):
    write_tar(tmp_path / "train.tar", {})
    write_records(tmp_path / "train.tfrecord", [])
    with pytest.raises(SourceError, match="tars or TFRecords. Received: both"):
        read_foreign_source(tmp_path)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("balanced_train_segments.csv", "-0RWZT-miFs, 30.000, 40.000, /m/0bt9lr"),
        ("csv/eval_segments.csv", ""),
        ("vggsound.csv", "---g-f_I2yQ,1,people marching,test"),
        ("data/test.csv", "---g-f_I2yQ_000001.mp4,people marching"),
        ("meta/esc50.csv", "filename,fold,target,category"),
        ("annotations/train.csv", "label,youtube_id,time_start,time_end,split"),
        ("kinetics400_train_list.txt", "abseiling/a.mp4 0"),
        ("data/audioset.json", '{"data": []}'),
    ],
)
def test_tars_beside_the_list_of_their_labels_are_not_packed_without_them(tmp_path, name, line):
    write_tar(tmp_path / "tars/train.tar", {"a.mp4": b"x"})
    (tmp_path / "tars/train_stats.json").write_text('{"count": 1}')
    assert read_foreign_source(tmp_path).label_names == ()
    write_list(tmp_path, name, line)
    with pytest.raises(
        SourceError, match=f"beside or below a list that has them. Received: {name.split('/')[-1]}"
    ) as caught:
        read_foreign_source(tmp_path)
    assert caught.value.path.endswith(name) and "Unpack the tars" in caught.value.advice
    write_tar(tmp_path / "tars/train.tar", {"a.mp4": b"x", "a.cls": b"dog"})
    assert read_foreign_source(tmp_path).label_names == ("dog",)


def test_links_out_of_the_root_are_refused(tmp_path):
    outside = write_records(tmp_path / "outside.tfrecord", [dmvr_record("a")])
    (tmp_path / "in").mkdir()
    (tmp_path / "in/train.tfrecord").symlink_to(outside)
    with pytest.raises(SourceError, match="is a link that leaves"):
        read_foreign_source(tmp_path / "in")


@pytest.mark.parametrize("name", ["train.tfrecord", "train.tar"])
def test_a_pipe_is_refused_and_never_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(SourceError, match="The shard is not a regular file") as caught:
        read_foreign_source(tmp_path)
    assert caught.value.reason == "not_a_file"


def test_the_fingerprint_changes_with_the_labels(tmp_path):
    prints = set()
    for label in ("a", "b"):
        write_records(tmp_path / "train.tfrecord", [dmvr_record(label, seconds=0.1)])
        prints.add(read_foreign_source(tmp_path).fingerprint)
        assert read_foreign_source(tmp_path / "train.tfrecord").fingerprint in prints
    assert len(prints) == 2


def test_shards_of_this_library_are_trained_on_and_not_packed_again(tmp_path):
    (tmp_path / "class").mkdir()
    write_clip(tmp_path / "class/a.mp4")
    prepare(tmp_path, tmp_path / "out", num_workers=1, frame_rate_hz=5.0)
    with pytest.raises(SourceError, match="shards of this library already"):
        prepare(tmp_path / "out", tmp_path / "again")


def test_training_on_shards_of_another_library_says_to_pack_them(tmp_path):
    write_records(tmp_path / "train.tfrecord", [dmvr_record("a")])
    with pytest.raises(SourceError, match="packed before they are trained on") as caught:
        open_clip_data(tmp_path)
    assert "zorro-keras prepare" in caught.value.advice
