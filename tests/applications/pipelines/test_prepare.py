"""Packing: every clip accounted for, and the same bytes however often the run was stopped."""

import json
import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from tests import clip_maker as made
from tests.inline_pool import InlinePool
from zorro_keras.applications.pipelines import atomic_files
from zorro_keras.applications.pipelines import prepare as prepare_module
from zorro_keras.applications.pipelines.atomic_files import one_writer
from zorro_keras.applications.pipelines.coverage import coverage_text
from zorro_keras.applications.pipelines.faults import MediaError, ShardError, SourceError
from zorro_keras.applications.pipelines.generated_clips import generate_clips
from zorro_keras.applications.pipelines.prepare import prepare
from zorro_keras.applications.pipelines.shards import open_shards

SETTINGS = {"clips_per_shard": 8, "frame_rate_hz": 2.0, "sample_rate_hz": 4000, "shorter_side_px": 32}
# Runs in a process of its own, to be killed.
PREPARE = (
    "import sys; from zorro_keras.applications.pipelines.prepare import prepare\n"
    f"prepare(sys.argv[1], sys.argv[2], num_workers=1, **{SETTINGS})"
)


@pytest.fixture
def inline(monkeypatch):
    monkeypatch.setattr(prepare_module, "DecodePool", InlinePool)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    out = tmp_path_factory.mktemp("clips")
    generate_clips(str(out), count=16, test_count=8, num_workers=1)
    return out


@pytest.fixture(scope="module")
def expected(clips, tmp_path_factory):
    """The bytes of a run that nothing stopped, by real worker processes."""
    out = tmp_path_factory.mktemp("expected") / "shards"
    prepare(clips, out, num_workers=2, **SETTINGS)
    return bytes_of(out)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """Sixteen sound clips, one without bytes, one cut short, and one that is no media."""
    out = tmp_path_factory.mktemp("damaged")
    generate_clips(str(out), count=16, test_count=0, num_workers=1)
    (out / "train/fall/empty.mp4").write_bytes(b"")
    whole = (out / "train/fall/fall-0000.mp4").read_bytes()
    (out / "train/fall/cut.mp4").write_bytes(whole[: len(whole) // 2])
    (out / "train/fall/text.mp4").write_bytes(b"no media at all\n" * 50)
    return out


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.slow
def test_the_report_accounts_for_every_clip(clips, expected, tmp_path, inline):
    (clips / "train/spin/notes.txt").write_text("ignored")
    coverage = prepare(clips, tmp_path / "shards", **SETTINGS)
    assert coverage["clips"] == {
        "listed": 24,
        "used_whole": 24,
        "used_without_a_stream": 0,
        "skipped": 0,
        "shortened": 0,
    }
    assert coverage["splits"] == {"test": 8, "train": 16}
    assert set(coverage["classes"].values()) == {3}
    assert coverage["streams"]["video"] == 24 > coverage["streams"]["audio"] == coverage["streams"]["both"]
    assert "train/spin/notes.txt" in coverage["ignored_files"]
    assert json.loads((tmp_path / "shards/coverage.json").read_text()) == coverage
    assert (tmp_path / "shards/coverage.txt").read_text() == coverage_text(coverage)
    (clips / "train/spin/notes.txt").unlink()


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    return made.encoded(tmp_path_factory.mktemp("media"))


def test_the_report_says_how_many_of_the_official_ids_were_found(media, tmp_path, inline):
    root, out = tmp_path / "audioset", tmp_path / "shards"
    made.audioset(root)
    made.put(media, root, "-0RWZT-miFs_420.000.mp4", "Yabc_efg_12.wav", "evaluated_0.mp4")
    coverage = prepare(root, out, **SETTINGS)
    assert coverage["layout"] == "AudioSet"
    assert coverage["official"] == {
        "balanced_train": {"found": 2, "listed": 3},
        "eval": {"found": 1, "listed": 1},
        "unbalanced_train": {"found": 0, "listed": 1},
    }
    assert coverage["classes"] == {"Speech": 1, "Male speech, man speaking": 1, "Dog": 2}
    text = (out / "coverage.txt").read_text()
    assert "AudioSet: found 3 of 5 official ids" in text
    assert "balanced_train: found 2 of 3 official ids" in text
    assert (out / "missing_ids.txt").read_text().splitlines() == [
        "balanced_train\tvanished_00",
        "unbalanced_train\tunbalanced0",
    ]
    assert prepare(root, out, **SETTINGS) == coverage
    assert open_shards(out).label_names == ("Speech", "Male speech, man speaking", "Dog")


def test_a_found_file_that_is_bad_is_a_fault_and_not_a_missing_id(media, tmp_path, inline):
    root = tmp_path / "audioset"
    made.audioset(root)
    made.put(media, root, "-0RWZT-miFs.mp4", "Yabc_efg_12.wav", "evaluated_0.mp4")
    (root / "evaluated_0.mp4").write_bytes(media[".mp4"][:300])
    coverage = prepare(root, tmp_path / "shards", **SETTINGS, max_bad_fraction=0.5)
    assert coverage["official"]["eval"] == {"found": 1, "listed": 1}
    assert (coverage["clips"]["skipped"], len(coverage["faults"])) == (1, 1)
    with pytest.raises(SourceError, match="1 of 3 clips are bad"):
        prepare(root, tmp_path / "others", **SETTINGS)


def test_a_source_without_official_ids_says_nothing_of_them(clips, expected):
    coverage = json.loads(expected["coverage.json"])
    assert (coverage["layout"], coverage["official"]) == ("class folders", {})
    assert "official" not in expected["coverage.txt"].decode() and "missing_ids.txt" not in expected


def test_the_fold_to_test_is_chosen_where_clips_are_packed(media, tmp_path, inline):
    root, out = tmp_path / "ESC-50-master", tmp_path / "shards"
    names = made.esc50(root)
    made.put(media, root, *(f"audio/{name}" for name in names))
    prepare(root, out, **SETTINGS, test_fold=2)
    assert [place.id for place in open_shards(out).split("test")] == [f"audio/{names[1]}"]
    with pytest.raises(ShardError, match=r"Received: another \['source'\]"):
        prepare(root, out, **SETTINGS, test_fold=3)


def test_clips_without_labels_are_packed_without_labels(media, tmp_path, inline):
    made.put(media, tmp_path, "videos/-abcdefghij.mp4", "videos/0123_567_90.mp4")
    ids = made.write_list(tmp_path, "youtube8m.txt", "-abcdefghij", "0123_567_90")
    coverage = prepare(ids, tmp_path / "shards", **SETTINGS)
    shards = open_shards(tmp_path / "shards")
    assert (shards.label_names, shards.multi_label, coverage["classes"]) == ((), False, {})
    assert [place.label_indices for place in shards.locations] == [(), ()]


def test_worker_processes_change_nothing(clips, expected, tmp_path, inline):
    prepare(clips, tmp_path / "shards", **SETTINGS)
    assert bytes_of(tmp_path / "shards") == expected
    assert sorted(os.listdir(tmp_path / "shards")) == sorted(expected)


def test_a_finished_folder_is_left_alone(clips, expected, tmp_path, inline):
    seen = []
    first = prepare(clips, tmp_path / "shards", **SETTINGS, on_progress=lambda *counts: seen.append(counts))
    assert seen == [(ready, 24) for ready in range(1, 25)]
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "shards").iterdir()}
    assert prepare(clips, tmp_path / "shards", **SETTINGS) == first
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "shards").iterdir()} == times
    (tmp_path / "shards/train-00000-of-00002.tfrecord").write_bytes(b"")
    with pytest.raises(ShardError, match="The shard must have"):
        prepare(clips, tmp_path / "shards", **SETTINGS)


def test_other_settings_are_refused(clips, expected, tmp_path, inline):
    prepare(clips, tmp_path / "shards", **SETTINGS)
    with pytest.raises(ShardError, match=r"hold shards of the same job. Received: another \['settings'\]"):
        prepare(clips, tmp_path / "shards", **{**SETTINGS, "frame_rate_hz": 3.0})


def test_a_folder_of_other_things_is_refused(clips, tmp_path, inline):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ShardError, match="must be a new or empty folder"):
        prepare(clips, tmp_path, **SETTINGS)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


class Stopped(BaseException):
    """Stands for the end of the process."""


def stop_at(monkeypatch, step):
    """Ends the run in the place of the given renaming, counted from 1."""
    rename, count = os.replace, iter(range(1, 1000))

    def replace(*paths):
        if next(count) == step:
            raise Stopped
        rename(*paths)

    monkeypatch.setattr(atomic_files.os, "replace", replace)
    return rename


@pytest.mark.parametrize("step", range(1, 14))
def test_stopped_before_any_renaming_the_run_is_finished_byte_for_byte(
    clips, expected, tmp_path, inline, monkeypatch, step
):
    # job, 3 times shard and note, labels, records, index, coverage twice, marker: 13 renamings
    with monkeypatch.context() as patch:
        stop_at(patch, step)
        with pytest.raises(Stopped):
            prepare(clips, tmp_path / "shards", **SETTINGS)
    with pytest.raises(ShardError, match="cannot be read"):
        open_shards(tmp_path / "shards")
    prepare(clips, tmp_path / "shards", **SETTINGS)
    assert bytes_of(tmp_path / "shards") == expected
    open_shards(tmp_path / "shards")


@pytest.mark.parametrize(
    "begun", [".tmp", "train-00001-of-00002.tfrecord.tmp", "test-00000-of-00001.tfrecord.tmp"]
)
def test_killed_in_the_middle_the_run_is_finished_byte_for_byte(clips, expected, tmp_path, begun):
    out = tmp_path / "shards"
    process = subprocess.Popen([sys.executable, "-c", PREPARE, str(clips), str(out)])
    deadline = time.monotonic() + 120
    while not any(path.name.endswith(begun) for path in out.glob("*.tmp")):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (out / "COMPLETE").exists()
    prepare(clips, out, num_workers=2, **SETTINGS)
    assert bytes_of(out) == expected
    assert sorted(os.listdir(out)) == sorted(expected)


def test_a_shard_that_changed_in_between_is_written_again(clips, expected, tmp_path, inline, monkeypatch):
    out = tmp_path / "shards"
    with monkeypatch.context() as patch:
        stop_at(patch, 8)
        with pytest.raises(Stopped):
            prepare(clips, out, **SETTINGS)
    with open(out / "train-00000-of-00002.tfrecord", "r+b") as file:
        file.truncate(100)
    prepare(clips, out, **SETTINGS)
    assert bytes_of(out) == expected


@pytest.mark.parametrize("num_bytes", [0, 1, 5000, 60_000])
def test_a_full_disk_leaves_finished_shards_intact(clips, expected, tmp_path, inline, num_bytes):
    out = tmp_path / "shards"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_up(ready, total):
        if ready == 9:  # the first shard is done; from now on writes fail beyond this size
            resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))

    try:
        with pytest.raises(ShardError, match="disk is full") as caught:
            prepare(clips, out, **SETTINGS, on_progress=fill_up)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.reason == "disk_full"
    assert caught.value.exit_code == 3
    assert (out / "train-00000-of-00002.tfrecord").read_bytes() == expected["train-00000-of-00002.tfrecord"]
    assert not list(out.glob("*.tmp"))
    prepare(clips, out, **SETTINGS)
    assert bytes_of(out) == expected


def test_one_writer_at_a_time(clips, tmp_path, inline):
    with one_writer(str(tmp_path)), pytest.raises(ShardError, match="Another process is writing") as caught:
        prepare(clips, tmp_path, **SETTINGS)
    assert caught.value.reason == "locked"
    prepare(clips, tmp_path, **SETTINGS)


def test_a_place_that_cannot_be_written_to_is_named(clips, tmp_path, inline):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ShardError, match="Writing is not possible") as caught:
        prepare(clips, tmp_path / "file/shards", **SETTINGS)
    assert caught.value.reason == "not_writable"


def test_damaged_clips_are_skipped_with_their_reason(damaged, tmp_path, inline):
    coverage = prepare(damaged, tmp_path / "shards", max_bad_fraction=0.5, **SETTINGS)
    assert coverage["clips"]["listed"] == 19
    assert coverage["clips"]["skipped"] == 3
    reasons = {fault["id"]: fault["error"]["reason"] for fault in coverage["faults"]}
    assert reasons["train/fall/empty.mp4"] == "zero_length"
    assert set(reasons) == {f"train/fall/{name}.mp4" for name in ("empty", "cut", "text")}
    assert sum(coverage["reasons"].values()) == 3
    used = {location.id for location in open_shards(tmp_path / "shards").locations}
    assert len(used) == 16 and used.isdisjoint(reasons)
    rows = [json.loads(line) for line in (tmp_path / "shards/faults.jsonl").read_text().splitlines()]
    assert {row["id"] for row in rows} == set(reasons)
    assert "train/fall/empty.mp4" in coverage_text(coverage)


def test_faults_are_reported_once_however_often_the_run_was_stopped(damaged, tmp_path, inline, monkeypatch):
    arguments = {"max_bad_fraction": 0.5, **SETTINGS}
    whole = prepare(damaged, tmp_path / "whole", **arguments)
    for step in (9, 3):
        with monkeypatch.context() as patch:
            stop_at(patch, step)
            with pytest.raises(Stopped):
                prepare(damaged, tmp_path / "stopped", **arguments)
    assert prepare(damaged, tmp_path / "stopped", **arguments) == whole
    assert bytes_of(tmp_path / "stopped") == bytes_of(tmp_path / "whole")


def test_too_many_damaged_clips_stop_the_run(damaged, tmp_path, inline):
    with pytest.raises(SourceError, match="more than the share allowed") as caught:
        prepare(damaged, tmp_path / "shards", **SETTINGS)
    assert caught.value.reason == "too_many_faults"
    assert not (tmp_path / "shards/COMPLETE").exists()


def test_with_raise_the_first_damaged_clip_stops_the_run(damaged, tmp_path, inline):
    with pytest.raises(MediaError) as caught:
        prepare(damaged, tmp_path / "shards", on_error="raise", **SETTINGS)
    assert caught.value.path.endswith((".mp4",)) and "train/fall/" in caught.value.path


def test_a_damaged_stream_may_be_left_out(damaged, tmp_path, inline, monkeypatch):
    from zorro_keras.applications.pipelines import pack_clip

    decode = pack_clip.decode_track

    def decode_without_sound(path, *, on_error, **arguments):
        track = decode(path, on_error=on_error, **arguments)
        if not path.endswith("spin-0000.mp4"):
            return track
        error = MediaError("A packet is damaged.", path=path, stage="audio", reason="corrupt")
        if on_error != "drop_modality":
            raise error
        return type(track)(**{**vars(track), "audio": None, "faults": (error,)})

    monkeypatch.setattr(pack_clip, "decode_track", decode_without_sound)
    arguments = {"max_bad_fraction": 0.5, **SETTINGS}
    dropped = prepare(damaged, tmp_path / "dropped", on_error="drop_modality", **arguments)
    assert dropped["clips"]["used_without_a_stream"] == 1
    fault = next(fault for fault in dropped["faults"] if fault["stream"] is not None)
    assert (fault["id"], fault["stream"]) == ("train/spin/spin-0000.mp4", "audio")
    places = {place.id: place for place in open_shards(tmp_path / "dropped").locations}
    assert places["train/spin/spin-0000.mp4"].has_video
    assert not places["train/spin/spin-0000.mp4"].has_audio
    skipped = prepare(damaged, tmp_path / "skipped", on_error="skip", **arguments)
    assert skipped["clips"]["skipped"] == dropped["clips"]["skipped"] + 1


def test_long_clips_are_cut_and_counted(clips, tmp_path, inline):
    coverage = prepare(clips, tmp_path / "shards", **SETTINGS, max_seconds=1.5)
    assert coverage["clips"]["shortened"] == 24
    assert {place.duration_seconds for place in open_shards(tmp_path / "shards").locations} == {1.5}


def test_segments_of_one_file_are_packed_apart(clips, tmp_path, inline):
    table = clips / "segments.csv"
    table.write_text(
        "path,label,start,end,split\n"
        "train/rise/rise-0000.mp4,start,0,1,train\n"
        "train/rise/rise-0000.mp4,end,1,2.25,train\n"
        "train/rise/rise-0001.mp4,start;end,,,test\n"
    )
    prepare(table, tmp_path / "shards", **SETTINGS)
    table.unlink()
    shards = open_shards(tmp_path / "shards")
    assert shards.multi_label and shards.label_names == ("end", "start")
    assert {place.id: place.duration_seconds for place in shards.split("train")} == {
        "train/rise/rise-0000.mp4@0.0-1.0": 1.0,
        "train/rise/rise-0000.mp4@1.0-2.25": 1.25,
    }
    assert shards.split("test")[0].label_indices == (0, 1)


@pytest.mark.parametrize(
    "name", ["sample_rate_hz", "frame_rate_hz", "shorter_side_px", "max_seconds", "clips_per_shard"]
)
def test_settings_out_of_range_are_refused(clips, tmp_path, name):
    with pytest.raises(ValueError, match=f"`{name}` must be positive and finite. Received: {name}=0"):
        prepare(clips, tmp_path / "shards", **{**SETTINGS, name: 0})
