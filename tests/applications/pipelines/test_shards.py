"""Shards: the format on disk, and that no damage to it goes unnoticed."""

import json
import os
import shutil

import numpy as np
import pytest

from zorro_keras.applications.pipelines.clip_record import PackedClip, encode_clip_record
from zorro_keras.applications.pipelines.faults import ShardError
from zorro_keras.applications.pipelines.generated_clips import generate_clips
from zorro_keras.applications.pipelines.jpeg_frames import encode_jpegs
from zorro_keras.applications.pipelines.prepare import prepare
from zorro_keras.applications.pipelines.sequence_example import encode_sequence_example
from zorro_keras.applications.pipelines.shards import is_shards, open_shards, parse_record
from zorro_keras.applications.pipelines.tfrecord import crc32c, frame_record, unframe_record


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Sixteen real clips in three shards."""
    root = tmp_path_factory.mktemp("packed")
    generate_clips(str(root / "clips"), count=16, test_count=8, num_workers=1)
    prepare(root / "clips", root / "shards", clips_per_shard=8, frame_rate_hz=5.0, num_workers=1)
    return root / "shards"


@pytest.fixture
def shards(packed, tmp_path):
    return shutil.copytree(packed, tmp_path / "shards")


def clip(**changes):
    times = np.linspace(0, 1, 90, dtype=np.float32)
    rows = np.arange(18, dtype=np.uint8)[None, :, None, None] * 7
    fields = {
        "id": "dog/größe.mp4",
        "data_path": "dog/größe.mp4",
        "label_indices": (1, 4),
        "label_names": ("bark", "dog"),
        "start_seconds": 2.5,
        "duration_seconds": 0.6,
        "audio": np.sin(times),
        "sample_rate_hz": 150,
        "frames": np.broadcast_to(rows, (3, 18, 22, 3)),
        "frame_rate_hz": 5.0,
    }
    return PackedClip(**{**fields, **changes})


def test_crc32c_gives_the_standard_check_value():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"") == 0


@pytest.mark.parametrize("size", [0, 1, 7, 16, 1000, 65_537])
def test_a_record_that_changed_is_not_unframed(size):
    payload = np.random.default_rng(size).bytes(size)
    record = frame_record(payload)
    assert unframe_record(record) == payload
    for place in {0, 9, len(record) // 2, len(record) - 1}:
        damaged = bytearray(record)
        damaged[place] ^= 1
        assert unframe_record(bytes(damaged)) is None
    assert unframe_record(record[:-1]) is None


@pytest.mark.tensorflow
@pytest.mark.parametrize("size", [0, 1, 7, 16, 1000, 65_537])
def test_records_are_those_tensorflow_writes(tmp_path, size):
    import tensorflow as tf

    payload = np.random.default_rng(size).bytes(size)
    path = str(tmp_path / "one.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(payload)
    with open(path, "rb") as file:
        assert file.read() == frame_record(payload)


@pytest.mark.tensorflow
def test_sequence_examples_are_those_tensorflow_reads():
    import tensorflow as tf

    serialized = encode_sequence_example(
        {"numbers": [1, -2, 2**40], "words": ["ä", b"\xff"], "floats": np.array([0.5, -1.0])},
        {"steps": [[b"one"], [b"two"]], "wave": [np.array([1.0, 2.0, 3.0])]},
    )
    example = tf.train.SequenceExample.FromString(serialized)
    features, lists = example.context.feature, example.feature_lists.feature_list
    assert list(features["numbers"].int64_list.value) == [1, -2, 2**40]
    assert list(features["words"].bytes_list.value) == ["ä".encode(), b"\xff"]
    assert list(features["floats"].float_list.value) == [0.5, -1.0]
    assert [step.bytes_list.value[0] for step in lists["steps"].feature] == [b"one", b"two"]
    assert list(lists["wave"].feature[0].float_list.value) == [1.0, 2.0, 3.0]


@pytest.mark.tensorflow
def test_frames_survive_as_jpeg():
    import tensorflow as tf

    frames = clip().frames
    images = encode_jpegs(frames)
    assert len(images) == 3
    for image, frame in zip(images, frames, strict=True):
        assert np.abs(tf.io.decode_jpeg(image).numpy().astype(int) - frame).max() <= 6


@pytest.mark.tensorflow
def test_records_have_the_keys_other_readers_know():
    import tensorflow as tf

    example = tf.train.SequenceExample.FromString(encode_clip_record(clip()))
    features, lists = example.context.feature, example.feature_lists.feature_list
    assert features["example/id"].bytes_list.value[0].decode() == "dog/größe.mp4"
    assert features["clip/data_path"].bytes_list.value[0].decode() == "dog/größe.mp4"
    assert list(features["clip/label/index"].int64_list.value) == [1, 4]
    for key in ("clip/label/text", "clip/label/string"):
        assert list(features[key].bytes_list.value) == [b"bark", b"dog"]
    assert features["clip/start/timestamp"].int64_list.value[0] == 2_500_000
    assert features["clip/end/timestamp"].int64_list.value[0] == 3_100_000
    assert features["image/height"].int64_list.value[0] == 18
    assert features["image/width"].int64_list.value[0] == 22
    assert features["image/frame_rate"].float_list.value[0] == 5.0
    assert features["WAVEFORM/feature/sample_rate"].float_list.value[0] == 150.0
    assert features["WAVEFORM/feature/num_samples"].int64_list.value[0] == 90
    times = [step.int64_list.value[0] for step in lists["image/timestamp"].feature]
    assert times == [2_600_000, 2_800_000, 3_000_000]
    assert len(lists["image/encoded"].feature) == 3
    assert len(lists["WAVEFORM/feature/floats"].feature) == 1


@pytest.mark.tensorflow
@pytest.mark.parametrize("absent", [None, "audio", "frames"])
def test_records_are_parsed_in_a_graph(absent):
    import tensorflow as tf

    serialized = encode_clip_record(clip(**({absent: None} if absent else {})))
    record = next(iter(tf.data.Dataset.from_tensors(serialized).map(parse_record)))
    assert record["id"].numpy().decode() == "dog/größe.mp4"
    assert record["label_indices"].numpy().tolist() == [1, 4]
    assert record["duration_seconds"].numpy() == np.float32(0.6)
    assert record["has_audio"].numpy() == (absent != "audio")
    assert record["has_video"].numpy() == (absent != "frames")
    assert record["frames"].shape == (0 if absent == "frames" else 3,)
    expected = np.zeros(0, np.float32) if absent == "audio" else clip().audio
    np.testing.assert_array_equal(record["audio"].numpy(), expected)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_every_location_leads_to_its_record(packed):
    import tensorflow as tf

    shards = open_shards(packed)
    assert [len(shards.split(split)) for split in ("train", "val", "test")] == [16, 0, 8]
    for location in shards.locations:
        with open(location.shard_path, "rb") as file:
            file.seek(location.offset_bytes)
            record = parse_record(tf.constant(unframe_record(file.read(location.length_bytes))))
        assert record["id"].numpy().decode() == location.id
        assert location.id.split("/")[0] == location.split
        label = shards.label_names[location.label_indices[0]]
        assert label == location.id.split("/")[1]
        assert record["label_indices"].numpy().tolist() == list(location.label_indices)
        assert record["has_audio"].numpy() == location.has_audio
        assert record["has_video"].numpy() == location.has_video


def test_shards_say_how_they_were_packed(packed):
    shards = open_shards(packed)
    assert shards.settings["sample_rate_hz"] == 16_000
    assert shards.settings["frame_rate_hz"] == 5.0
    assert len(shards.label_names) == 8
    assert not shards.multi_label


def test_shards_may_be_moved(packed, shards):
    moved, original = open_shards(shards), open_shards(packed)
    assert moved.fingerprint == original.fingerprint
    assert [place.id for place in moved.locations] == [place.id for place in original.locations]


def boundary(shards, name):
    """Where the last record of a shard begins."""
    places = [place for place in open_shards(shards).locations if os.path.basename(place.shard_path) == name]
    return places[-1].offset_bytes


FIRST, SECOND, TEST = (
    "train-00000-of-00002.tfrecord",
    "train-00001-of-00002.tfrecord",
    "test-00000-of-00001.tfrecord",
)


def cut_inside(shards):
    with open(shards / FIRST, "r+b") as file:
        file.truncate(boundary(shards, FIRST) + 40)


def cut_between(shards):
    with open(shards / FIRST, "r+b") as file:
        file.truncate(boundary(shards, FIRST))


def empty(shards):
    (shards / FIRST).write_bytes(b"")


def remove(shards):
    (shards / FIRST).unlink()


def add(shards):
    shutil.copy(shards / FIRST, shards / "train-00002-of-00003.tfrecord")


def append(shards):
    with open(shards / FIRST, "ab") as file:
        file.write(frame_record(b"more"))


def swap(shards):
    (shards / FIRST).rename(shards / "held")
    (shards / SECOND).rename(shards / FIRST)
    (shards / "held").rename(shards / SECOND)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut_inside, "truncated"),
        (cut_between, "truncated"),
        (empty, "truncated"),
        (remove, "missing_file"),
        (append, "checksum"),
        (add, "bad_schema"),
        (swap, None),
    ],
)
@pytest.mark.parametrize("verify", [True, False])
def test_damaged_shards_are_refused_by_name(shards, damage, reason, verify):
    assert open_shards(shards, verify=verify).split("train")
    damage(shards)
    with pytest.raises(ShardError) as caught:
        open_shards(shards, verify=verify)
    assert caught.value.reason == reason or reason is None
    assert os.path.basename(caught.value.path).startswith("train-0000")


@pytest.mark.parametrize("place", ["length", "payload", "checksum"])
def test_a_flipped_bit_names_shard_and_record(shards, place):
    location = open_shards(shards).locations[5]
    offset = {"length": 2, "payload": location.length_bytes // 2, "checksum": location.length_bytes - 1}[
        place
    ]
    with open(location.shard_path, "r+b") as file:
        file.seek(location.offset_bytes + offset)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 4]))
    with pytest.raises(ShardError, match=f"changed since it was written: first in '{location.id}'") as caught:
        open_shards(shards)
    assert caught.value.reason == "checksum"
    assert caught.value.path == location.shard_path
    assert caught.value.row == 5


@pytest.mark.parametrize("name", ["index.json", "records.jsonl", "labels.json", "coverage.json"])
def test_a_changed_or_missing_file_beside_the_shards_is_noticed(shards, name):
    text = (shards / name).read_text()
    (shards / name).write_text(text.replace("0", "1", 1) if "0" in text else text.replace("a", "b", 1))
    with pytest.raises(ShardError, match="The file changed since it was written"):
        open_shards(shards)
    (shards / name).unlink()
    with pytest.raises(ShardError, match="The file cannot be read") as caught:
        open_shards(shards)
    assert caught.value.reason == "missing_file"


def test_shards_without_the_marker_are_incomplete(shards):
    (shards / "COMPLETE").unlink()
    assert is_shards(shards)
    with pytest.raises(ShardError) as caught:
        open_shards(shards)
    assert caught.value.reason == "incomplete"
    assert "prepare" in caught.value.advice


@pytest.mark.parametrize("text", ["", "[]", "{", '{"index.json": 3}', "null"])
def test_a_marker_that_makes_no_sense_is_refused(shards, text):
    (shards / "COMPLETE").write_text(text)
    with pytest.raises(ShardError):
        open_shards(shards)


def rewrite_index(shards, change):
    """Changes the index and signs it again, as a hostile or an older writer would."""
    import hashlib

    index = json.loads((shards / "index.json").read_text())
    change(index)
    data = json.dumps(index).encode()
    (shards / "index.json").write_bytes(data)
    marker = json.loads((shards / "COMPLETE").read_text())
    (shards / "COMPLETE").write_text(json.dumps({**marker, "index.json": hashlib.sha256(data).hexdigest()}))


@pytest.mark.parametrize(
    "change",
    [
        lambda index: index.update(format="another"),
        lambda index: index.pop("shards"),
        lambda index: index["shards"].pop(),
        lambda index: index["shards"][0].pop("sha256"),
        lambda index: index["shards"][0].update(name="../clips.tfrecord"),
        lambda index: index["shards"][0].update(num_records=3),
    ],
)
def test_an_index_of_another_kind_is_refused(shards, change):
    rewrite_index(shards, lambda index: None)
    open_shards(shards)
    rewrite_index(shards, change)
    with pytest.raises(ShardError):
        open_shards(shards)


def test_other_folders_are_not_shards(tmp_path):
    assert not is_shards(tmp_path)
    assert not is_shards(tmp_path / "nothing")
