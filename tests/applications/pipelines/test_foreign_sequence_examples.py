"""Shards of DMVR, MediaSequence and Scenic MBT become shards of this library, clip by clip."""

import json

import numpy as np
import pytest

from tests.foreign_maker import dmvr_record, example, jpegs, samples, write_records
from tests.inline_pool import InlinePool
from tests.media_maker import time_of_grey, write_clip, write_sound
from zorro_keras.applications.pipelines import prepare as prepare_module
from zorro_keras.applications.pipelines.coverage import coverage_text
from zorro_keras.applications.pipelines.faults import MediaError, SourceError
from zorro_keras.applications.pipelines.foreign_source import read_foreign_source
from zorro_keras.applications.pipelines.prepare import prepare
from zorro_keras.applications.pipelines.records import read_record
from zorro_keras.applications.pipelines.shards import open_shards, parse_record

SETTINGS = {"frame_rate_hz": 5.0, "sample_rate_hz": 8000, "shorter_side_px": 32}


@pytest.fixture(autouse=True)
def inline(monkeypatch):
    monkeypatch.setattr(prepare_module, "DecodePool", InlinePool)


def pack(source, out, **settings):
    coverage = prepare(source, out, **{**SETTINGS, "max_bad_fraction": 1.0, **settings})
    shards = open_shards(out)
    records = {
        place.id: parse_record(read_record(place.shard_path, place.offset_bytes))
        for place in shards.locations
    }
    return coverage, shards, records


def grey_times(record):
    """When, by their own grey, the pictures were taken."""
    import tensorflow as tf

    frames = [tf.io.decode_jpeg(image).numpy() for image in record["frames"].numpy()]
    return np.array([time_of_grey(frame[-8:, -8:].mean()) for frame in frames])


def assert_is_the_clip(record, *, seconds=1.2, has_audio=True, tolerance=0.25):
    """The packed pictures show their time and the packed sound is the 440 Hz tone of amplitude 0.5."""
    expected = (np.arange(round(seconds * 5)) + 0.5) / 5
    np.testing.assert_allclose(grey_times(record), expected, atol=tolerance)
    assert bool(record["has_audio"]) == has_audio
    if not has_audio:
        return
    audio = record["audio"].numpy()
    assert abs(len(audio) - seconds * 8000) <= 2
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio))))
    assert abs(spectrum.argmax() * 8000 / len(audio) - 440.0) < 2.0
    assert abs(np.sqrt(2) * audio[400:-400].std() - 0.5) < 0.02


def test_dmvr_shards_are_packed_with_names_for_labels_and_rates_from_their_times(tmp_path):
    # Its script numbers the labels anew in each run: the numbers of the two splits contradict each other.
    write_records(
        tmp_path / "in/train-00000-of-00002", [dmvr_record("run", 0), dmvr_record("sit", 1, name="b")]
    )
    write_records(tmp_path / "in/train-00001-of-00002", [dmvr_record("run", 0, name="c")])
    write_records(tmp_path / "in/test-00000-of-00001", [dmvr_record("run", 1, name="d")])
    coverage, shards, records = pack(tmp_path / "in", tmp_path / "out")
    assert coverage["layout"] == "DMVR"
    assert coverage["clips"]["used_whole"] == 4 and coverage["remarks"] == {}
    assert shards.label_names == ("run", "sit") and not shards.multi_label
    assert {place.id: (place.split, place.label_indices) for place in shards.locations} == {
        "train-00000-of-00002#0": ("train", (0,)),
        "train-00000-of-00002#1": ("train", (1,)),
        "train-00001-of-00002#0": ("train", (0,)),
        "test-00000-of-00001#0": ("test", (0,)),
    }
    for record in records.values():
        assert_is_the_clip(record)


def test_sound_that_dmvr_read_as_floats_is_repaired_and_the_report_says_so(tmp_path):
    write_records(
        tmp_path / "train-0-of-1",
        [dmvr_record("run", as_integers=number < 2, name=str(number)) for number in range(3)],
    )
    coverage, _, records = pack(tmp_path / "train-0-of-1", tmp_path / "out")
    assert coverage["remarks"] == {"sound repaired: whole numbers had been read as floats": 2}
    assert "whole numbers had been read as floats" in coverage_text(coverage).replace("\n", " ")
    for record in records.values():
        assert_is_the_clip(record)


def test_other_rates_are_told_by_what_most_clips_hold_for_each_second(tmp_path):
    usual = [dmvr_record("a", rate_hz=25.0, sample_rate_hz=16_000, name=str(n)) for n in range(3)]
    # One whose file ends before its list says: taken alone it would seem to have half the rates.
    short = dmvr_record("a", rate_hz=25.0, sample_rate_hz=16_000, claimed_seconds=2.4)
    write_records(tmp_path / "train-0-of-1", [short, *usual])
    source = read_foreign_source(tmp_path / "train-0-of-1")
    assert {(entry.frame_rate_hz, entry.sample_rate_hz) for entry in source.entries} == {(25.0, 16_000.0)}
    _, _, records = pack(tmp_path / "train-0-of-1", tmp_path / "out")
    for record in records.values():
        assert_is_the_clip(record)


def media_sequence_record(label, *, channels=1, **context):
    stamps = [3_000_000 + 40_000 * number for number in range(30)]
    sound = np.repeat(samples(1.2, 44_100), channels)
    return example(
        {
            "example/id": "one",
            "clip/data_path": "films/one.mp4",
            "clip/start/timestamp": 3_000_000,
            "clip/end/timestamp": 4_200_000,
            "clip/label/string": label,
            "WAVEFORM/feature/sample_rate": 44_100.0,
            "WAVEFORM/feature/num_channels": channels,
            **context,
        },
        {
            "image/encoded": [[image] for image in jpegs(1.2, 25.0)],
            "image/timestamp": [[stamp] for stamp in stamps],
            # Many programs store sound in steps.
            "WAVEFORM/feature/floats": np.split(sound, [882 * channels, 1764 * channels]),
        },
    )


def test_media_sequence_shards_are_packed_by_their_time_stamps(tmp_path):
    records = [media_sequence_record(["dog", "cat"]), media_sequence_record(["dog"], channels=2)]
    write_records(tmp_path / "in/validation.tfrecord", records)
    coverage, shards, records = pack(tmp_path / "in", tmp_path / "out")
    assert coverage["layout"] == "MediaSequence" and coverage["splits"] == {"val": 2}
    assert shards.multi_label and shards.label_names == ("cat", "dog")
    assert [place.label_indices for place in shards.locations if place.id.endswith("#0")] == [(0, 1)]
    for record in records.values():
        assert_is_the_clip(record)


def test_uneven_time_stamps_decide_what_is_shown_when(tmp_path):
    stamps = [3_000_000, 3_700_000, 3_800_000]
    images = jpegs(3, 1.0)  # taken at 0, 1 and 2 seconds, by their grey
    record = example(
        {"clip/label/string": "a", "clip/start/timestamp": 2_900_000},
        {"image/encoded": [[image] for image in images], "image/timestamp": [[stamp] for stamp in stamps]},
    )
    write_records(tmp_path / "train.tfrecord", [record])
    _, _, records = pack(tmp_path / "train.tfrecord", tmp_path / "out")
    (record,) = records.values()
    # Shown from 0.0 (the first is also what is seen before it), 0.8 and 0.9 s; the last for the mean time.
    np.testing.assert_allclose(grey_times(record), [0, 0, 0, 0, 2, 2], atol=0.3)


def test_a_film_or_a_sound_inside_a_record_is_opened_like_any_file(tmp_path):
    film = write_clip(tmp_path / "film.mp4", seconds=1.6).read_bytes()
    sound = write_sound(tmp_path / "sound.flac", seconds=1.2).read_bytes()
    times = {"clip/start/timestamp": 5_200_000, "clip/end/timestamp": 6_400_000}
    whole = example({"clip/label/string": "a", "clip/encoded_media_bytes": film})
    part = example(
        {
            "clip/label/string": "a",
            "clip/encoded_media_bytes": film,
            "clip/encoded_media_start_timestamp": 5_000_000,
            **times,
        }
    )
    apart = example(
        {"clip/label/string": "a", "audio/encoded": sound, "image/frame_rate": 10.0},
        {"image/encoded": [[image] for image in jpegs(1.2, 10.0)]},
    )
    write_records(tmp_path / "in/train.tfrecord", [whole, part, apart])
    _, _, records = pack(tmp_path / "in", tmp_path / "out")
    assert_is_the_clip(records["train.tfrecord#0"], seconds=1.6, tolerance=0.4)
    np.testing.assert_allclose(grey_times(records["train.tfrecord#1"])[[0, -1]], [0.3, 1.3], atol=0.4)
    assert_is_the_clip(records["train.tfrecord#2"])


def test_of_scenic_mbt_the_pictures_and_numbered_labels_are_packed_and_the_mel_is_reported(tmp_path):
    record = example(
        {"clip/label/index": [2, 4]},
        {
            "image/encoded": [[image] for image in jpegs(1.2, 25.0)],
            "melspec/feature/floats": [np.zeros(12_800), np.zeros(12_800)],
        },
    )
    write_records(tmp_path / "eval.tfrecord@1-00000-of-00001", [record])
    coverage, shards, records = pack(tmp_path / "eval.tfrecord@1-00000-of-00001", tmp_path / "out")
    assert coverage["layout"] == "Scenic MBT" and coverage["splits"] == {"test": 1}
    assert coverage["remarks"] == {"sound left out: only its log-mel spectrogram is stored": 1}
    assert shards.label_names == ("0", "1", "2", "3", "4")
    assert shards.locations[0].label_indices == (2, 4)
    (record,) = records.values()
    assert_is_the_clip(record, has_audio=False)


def test_a_plain_example_is_read_like_a_sequence(tmp_path):
    import tensorflow as tf

    feature = {
        "image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=jpegs(1.2, 10.0))),
        "clip/label/text": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"a"])),
    }
    plain = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
    write_records(tmp_path / "train.tfrecord", [plain])
    _, _, records = pack(tmp_path / "train.tfrecord", tmp_path / "out")
    assert_is_the_clip(records["train.tfrecord#0"], has_audio=False)


def test_clips_without_any_labels_are_packed_for_pretraining(tmp_path):
    write_records(tmp_path / "train.tfrecord", [dmvr_record(None), dmvr_record(None, name="b")])
    _, shards, _ = pack(tmp_path / "train.tfrecord", tmp_path / "out")
    assert shards.label_names == ()
    assert [place.label_indices for place in shards.locations] == [(), ()]


def bad_records():
    """Records that are whole but cannot be used, each with the reason."""
    label, encoded, floats = {"clip/label/text": "a"}, "clip/encoded_media_bytes", "WAVEFORM/feature/floats"
    two_samples = {floats: [[0.1, 0.2]]}
    going_back = {"image/encoded": [[b"x"], [b"y"]], "image/timestamp": [[2], [1]]}
    cut = jpegs(0.1, 10.0)[0][:-40]
    return [
        (dmvr_record(None), "bad_label"),
        (example({**label, "video/filename": "x"}), "no_streams"),
        (example({**label, encoded: b"#EXTM3U\nfile.mp4\n"}), "refused_format"),
        (example({**label, encoded: b"text\n" * 99}), "not_media"),
        (example({**label, encoded: b""}), "zero_length"),
        (example(label, {"image/encoded": [[b"text"]]}), "not_image"),
        (example(label, {"image/encoded": [[cut]]}), "truncated"),
        (example(label, going_back), "bad_time"),
        (example(label, {floats: [[0.1, np.nan, 0.2]]}), "non_finite"),
        (example({**label, "WAVEFORM/feature/sample_rate": 1e12}, two_samples), "bad_record"),
        (example({**label, "WAVEFORM/feature/num_channels": 3}, two_samples), "bad_record"),
        (b"\xff\xff\xff\xff", "bad_record"),
    ]


def test_a_bad_record_costs_only_itself_and_is_named_by_shard_and_position(tmp_path):
    bad = bad_records()
    records = [dmvr_record("a"), *(record for record, _ in bad), dmvr_record("b", name="z")]
    write_records(tmp_path / "in/sub/train-00000-of-00001", records)
    coverage, shards, packed = pack(tmp_path / "in", tmp_path / "out")
    assert {fault["id"]: fault["error"]["reason"] for fault in coverage["faults"]} == {
        f"sub/train-00000-of-00001#{position}": reason for position, (_, reason) in enumerate(bad, start=1)
    }
    assert coverage["clips"]["skipped"] == len(bad)
    assert set(packed) == {"sub/train-00000-of-00001#0", f"sub/train-00000-of-00001#{len(bad) + 1}"}
    for record in packed.values():
        assert_is_the_clip(record)
    rows = [json.loads(line) for line in (tmp_path / "out/faults.jsonl").read_text().splitlines()]
    assert all(row["path"].startswith("sub/train-00000-of-00001#") for row in rows)


def places_of(path):
    from zorro_keras.applications.pipelines.tfrecord import record_places

    return list(record_places(str(path)))


@pytest.mark.parametrize(
    ("damage", "lost"),
    [
        ("a byte of the payload", {1: "checksum"}),
        ("the length", {1: "checksum"}),
        ("cut", {2: "checksum"}),
        ("no byte left", {0: "zero_length"}),
    ],
)
def test_damaged_shards_give_up_only_what_cannot_be_read(tmp_path, damage, lost):
    path = write_records(tmp_path / "in/train.tfrecord", [dmvr_record("abc", name=name) for name in "123"])
    write_records(tmp_path / "in/train-b.tfrecord", [dmvr_record("abc", name="4")])
    data, places = bytearray(path.read_bytes()), places_of(path)
    if damage == "a byte of the payload":
        label = data.index(b"abc", places[1][0])
        data[label] ^= 1  # a class `cbc` must not come into being
    elif damage == "the length":
        data[places[1][0]] ^= 1
    else:
        del data[len(data) - 7 if damage == "cut" else 0 :]
    path.write_bytes(data)
    coverage, shards, records = pack(tmp_path / "in", tmp_path / "out")
    assert {fault["id"]: fault["error"]["reason"] for fault in coverage["faults"]} == {
        f"train.tfrecord#{position}": reason for position, reason in lost.items()
    }
    assert shards.label_names == ("abc",)
    kept = {"a byte of the payload": 2, "the length": 1, "cut": 2, "no byte left": 0}[damage]
    assert coverage["clips"]["used_whole"] == kept + 1 == len(records)


def test_a_damaged_stream_may_be_left_out(tmp_path):
    image = jpegs(0.2, 10.0)[0]
    record = example(
        {"clip/label/text": "a", "image/frame_rate": 10.0},
        {
            "image/encoded": [[image]],
            "WAVEFORM/feature/floats": [[*samples(0.3, 48_000), np.nan]],
        },
    )
    write_records(tmp_path / "train.tfrecord", [record])
    dropped, shards, _ = pack(tmp_path / "train.tfrecord", tmp_path / "a", on_error="drop_modality")
    assert (dropped["faults"][0]["stream"], dropped["faults"][0]["error"]["reason"]) == (
        "audio",
        "non_finite",
    )
    assert shards.locations[0].has_video and not shards.locations[0].has_audio
    with pytest.raises(MediaError, match="NaN or infinity"):
        prepare(tmp_path / "train.tfrecord", tmp_path / "b", on_error="raise", **SETTINGS)


def test_records_of_an_unknown_program_are_refused_by_the_keys_they_hold(tmp_path):
    write_records(tmp_path / "train.tfrecord", [example({"x/y": 1, "label": "a"})])
    with pytest.raises(
        SourceError, match=r"keys of one of Scenic MBT, MediaSequence, DMVR. Received: label, x/y"
    ):
        read_foreign_source(tmp_path)


def test_the_features_of_audioset_are_told_apart_from_clips(tmp_path):
    record = example({"video_id": "a", "labels": [1]}, {"audio_embedding": [[bytes(128)]]})
    write_records(tmp_path / "00.tfrecord", [record])
    with pytest.raises(SourceError, match="AudioSet's features") as caught:
        read_foreign_source(tmp_path)
    assert "audioset_features" in caught.value.advice


def test_shards_that_cannot_be_read_at_all_are_refused(tmp_path):
    import gzip

    (tmp_path / "train.tfrecord").write_bytes(b"no record" * 9)
    with pytest.raises(SourceError, match="not one record that can be read"):
        read_foreign_source(tmp_path)
    (tmp_path / "train.tfrecord").write_bytes(gzip.compress(b"x"))
    with pytest.raises(SourceError, match="compressed shard"):
        read_foreign_source(tmp_path)


def test_an_interrupted_run_is_finished_with_the_same_bytes_and_the_same_remarks(tmp_path, monkeypatch):
    records = [dmvr_record("a", as_integers=number % 2 == 0, name=str(number)) for number in range(4)]
    source = write_records(tmp_path / "train.tfrecord", records)
    settings = {"clips_per_shard": 2}
    whole, _, _ = pack(source, tmp_path / "whole", **settings)
    with monkeypatch.context() as patch:
        write = prepare_module.write_shard
        patch.setattr(
            prepare_module, "write_shard", lambda out, plan, *rest: stop_at_second(write, out, plan, *rest)
        )
        with pytest.raises(KeyboardInterrupt):
            pack(source, tmp_path / "stopped", **settings)
    again, _, _ = pack(source, tmp_path / "stopped", **settings)
    assert again == whole and sum(whole["remarks"].values()) == 2
    for path in (tmp_path / "whole").iterdir():
        if path.is_file():
            assert (tmp_path / "stopped" / path.name).read_bytes() == path.read_bytes()


def stop_at_second(write, out, plan, *rest):
    if plan.name.startswith("train-00001"):
        raise KeyboardInterrupt
    return write(out, plan, *rest)


def test_worker_processes_read_records_too(tmp_path, monkeypatch):
    monkeypatch.undo()
    source = write_records(tmp_path / "train.tfrecord", [dmvr_record("a"), dmvr_record("b", name="b")])
    coverage, _, records = pack(source, tmp_path / "out", num_workers=1)
    assert coverage["clips"]["used_whole"] == 2
    for record in records.values():
        assert_is_the_clip(record)
