"""Shards of other libraries take AudioSet's order of classes, and tars without labels those of its lists."""

import json

import pytest

from tests.clip_maker import CLASSES, audioset, write_list
from tests.foreign_maker import dmvr_record, write_records, write_tar
from tests.media_maker import write_clip
from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.foreign_source import read_foreign_source
from zorro_keras.applications.pipelines.prepare import prepare

OFFICIAL = ("Speech", "Male speech, man speaking", "Dog")


def told(source):
    return [(entry.label_indices, entry.split) for entry in source.entries]


@pytest.mark.parametrize("where", ["shards/", "shards/csv/", "", "metadata/"])
def test_shards_take_the_official_order_from_the_file_in_or_beside_them(tmp_path, where):
    records = [dmvr_record("Dog", 0, seconds=0.1), dmvr_record("Speech", 1, seconds=0.1)]
    write_records(tmp_path / "shards/train.tfrecord", records)
    assert read_foreign_source(tmp_path / "shards").label_names == ("Dog", "Speech")
    write_list(tmp_path, f"{where}class_labels_indices.csv", *CLASSES)
    source = read_foreign_source(tmp_path / "shards")
    assert (source.label_names, told(source)) == (OFFICIAL, [((2,), "train"), ((0,), "train")])


@pytest.mark.parametrize(
    ("suffix", "labels", "expected"),
    [
        ("cls", "/m/0bt9lr,/m/09x0r", (0, 2)),
        ("cls", "Male speech, man speaking", (1,)),
        ("json", json.dumps({"labels": ["Dog", "/m/05zppz"]}), (1, 2)),
        ("cls", "/m/puppy", (2,)),
        ("cls", "1", (1,)),  # a number is the official one
    ],
)
def test_labels_of_tars_may_be_names_mids_or_numbers(tmp_path, suffix, labels, expected):
    write_list(tmp_path, "class_labels_indices.csv", *CLASSES)
    ontology = [{"id": "/m/0bt9lr", "child_ids": ["/m/puppy"]}, {"id": "/m/puppy", "child_ids": []}]
    write_list(tmp_path, "ontology.json", json.dumps(ontology))
    write_tar(tmp_path / "train.tar", {"a.mp4": b"x", f"a.{suffix}": labels.encode()})
    source = read_foreign_source(tmp_path)
    assert (source.label_names, told(source)) == (OFFICIAL, [(expected, "train")])


@pytest.mark.parametrize(("label", "named"), [("cat", "cat"), ("/m/unknown", "/m/unknown"), ("3", "3")])
def test_a_label_that_is_no_class_of_the_file_is_refused(tmp_path, label, named):
    write_list(tmp_path, "class_labels_indices.csv", *CLASSES)
    write_tar(tmp_path / "train.tar", {"a.mp4": b"x", "a.cls": label.encode()})
    with pytest.raises(SourceError, match=rf"of class_labels_indices.csv. Received: \['{named}'\]") as caught:
        read_foreign_source(tmp_path)
    assert "keep that file elsewhere" in caught.value.advice


TARS = {
    "tars/20k/train/00.tar": ["-0RWZT-miFs", "on_no_list0", "Yabc_efg_12_30.000"],
    "tars/20k/test/00.tar": ["Yevaluated_0", "unbalanced0_99000"],  # the last is another part of its video
}


def write_tars(root, data=b"x"):
    for name, keys in TARS.items():
        write_tar(root / name, {f"{key}.mp4": data for key in keys})


@pytest.mark.parametrize("where", ["tars/", ""])
def test_tars_without_labels_have_them_from_the_lists_by_their_ids(tmp_path, where):
    audioset(tmp_path, where)
    write_tars(tmp_path)
    source = read_foreign_source(tmp_path / "tars")
    assert (source.layout, source.label_names, source.multi_label) == (
        "AudioSet in WebDataset",
        OFFICIAL,
        True,
    )
    assert {entry.id: (entry.label_indices, entry.split) for entry in source.entries} == {
        "20k/train/00.tar#0": ((0, 2), "train"),
        "20k/train/00.tar#2": ((1,), "train"),
        "20k/test/00.tar#0": ((2,), "test"),
    }
    assert sorted(source.ignored) == ["20k/test/00.tar#1", "20k/train/00.tar#1"]
    assert source.official == {"balanced_train": 3, "unbalanced_train": 1, "eval": 1}
    assert source.missing == {"balanced_train": ("vanished_00",), "unbalanced_train": ("unbalanced0",)}


def test_rows_that_cannot_be_read_are_named_where_lists_are_joined(tmp_path):
    audioset(tmp_path)
    write_list(tmp_path, "eval_segments.csv", "evaluated_0, 30.000, 40.000, /m/0bt9lr", "no times")
    write_tars(tmp_path)
    with pytest.raises(SourceError, match="eval_segments.csv line 2: bad_row"):
        read_foreign_source(tmp_path)


@pytest.mark.parametrize("name", ["balanced_train_segments.csv", "csv/vggsound.csv", "meta/esc50.csv"])
def test_tars_below_a_list_that_has_other_clips_are_not_packed_without_labels(tmp_path, name):
    write_tar(tmp_path / "tars/train.tar", {"a.mp4": b"x"})
    write_list(tmp_path, name, "-0RWZT-miFs, 30.000, 40.000, /m/0bt9lr")
    with pytest.raises(SourceError, match="must not lie beside or below a list that has them"):
        read_foreign_source(tmp_path / "tars")


def test_joined_tars_are_packed_and_a_cut_one_counts(tmp_path):
    audioset(tmp_path / "in")
    write_clip(tmp_path / "clip.mp4", seconds=0.4, width_px=32, height_px=24)
    write_tars(tmp_path / "in", (tmp_path / "clip.mp4").read_bytes())
    cut = tmp_path / "in/tars/20k/train/00.tar"
    cut.write_bytes(cut.read_bytes()[:-9000])
    coverage = prepare(tmp_path / "in", tmp_path / "out", num_workers=1, max_bad_fraction=1.0)
    assert coverage["splits"] == {"test": 1, "train": coverage["clips"]["used_whole"] - 1}
    assert coverage["official"]["eval"] == {"found": 1, "listed": 1}
    assert list(coverage["classes"]) == list(OFFICIAL)
