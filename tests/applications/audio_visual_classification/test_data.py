"""From shards or media files to batches: aligned, finite, accounted for, a function of (seed, step)."""

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from tests import clip_maker  # noqa: E402
from tests.applications.batch_parts import check_parts, positions_read  # noqa: E402
from tests.media_maker import spoil_stream  # noqa: E402
from zorro_keras.applications.audio_visual_classification.config import CONFIGS  # noqa: E402
from zorro_keras.applications.audio_visual_classification.data import (  # noqa: E402
    evaluation_dataset,
    open_data,
    training_dataset,
)
from zorro_keras.applications.pipelines.batch_rows import BatchPart  # noqa: E402
from zorro_keras.applications.pipelines.clip_data import ClipData  # noqa: E402
from zorro_keras.applications.pipelines.clip_record import PackedClip, encode_clip_record  # noqa: E402
from zorro_keras.applications.pipelines.encode_mp4 import encode_mp4  # noqa: E402
from zorro_keras.applications.pipelines.faults import (  # noqa: E402
    ConfigError,
    MediaError,
    ShardError,
    SourceError,
)
from zorro_keras.applications.pipelines.geometry import ClipGeometry  # noqa: E402
from zorro_keras.applications.pipelines.host_errors import host_errors  # noqa: E402
from zorro_keras.applications.pipelines.prepare import prepare  # noqa: E402
from zorro_keras.applications.pipelines.shards import RecordLocation, ShardSet  # noqa: E402
from zorro_keras.applications.training import clip_batches  # noqa: E402
from zorro_keras.applications.training.audio_visual_preprocessor import (  # noqa: E402
    AudioVisualPreprocessor,
)

RATE_HZ = 800
GEOMETRY = ClipGeometry(seconds=0.64, sample_rate_hz=RATE_HZ, num_frames=4, height_px=8, width_px=12)
LABELS = ("bell", "drum", "horn")
NUM_TRAIN, NUM_TEST = 13, 5
ABSENT = {3: "audio", 5: "video"}  # What clips 3 and 5 lack.


def _config(**changes):
    tiny = CONFIGS["tiny"]
    augmentation = dataclasses.replace(
        tiny.data.augmentation,
        zoom=(1.0, 1.3),
        flip_rate=0.5,
        grey_rate=0.2,
        mixup_alpha=0.5,
        modality_dropout_rate=0.3,
        frequency_mask_bins=2,
        time_mask_frames=2,
    )
    if changes.pop("plain", False):
        augmentation = dataclasses.replace(
            augmentation,
            zoom=(1.0, 1.0),
            flip_rate=0.0,
            colour_rate=0.0,
            grey_rate=0.0,
            mixup_alpha=0.0,
            modality_dropout_rate=0.0,
            num_frequency_masks=0,
            num_time_masks=0,
        )
    data = dataclasses.replace(
        tiny.data, geometry=GEOMETRY, augmentation=augmentation, num_workers=1, **changes
    )
    model = dataclasses.replace(tiny.model, spectrogram_frames=64, video_patch=(2, 4, 4))
    training = dataclasses.replace(tiny.training, batch_size=4, seed=7)
    return dataclasses.replace(tiny, data=data, model=model, training=training)


def preprocess(batch):
    """Stands in for the model's preprocessor: sound cut into 64 rows of 8, pixels in [-1, 1]."""
    x = {}
    if "audio" in batch:
        x["audio"] = tf.reshape(batch["audio"], [-1, 64, 8])
    if "video" in batch:
        x["video"] = tf.cast(batch["video"], tf.float32) / 127.5 - 1.0
    return {**x, "presence": batch["presence"]}


def _clip(number, seconds=1.5):
    """Sound and picture that tell the clip and the time: sample = clip + time / 100, green = 10 * frame."""
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    audio = (number + times / 100).astype(np.float32)
    frames = np.zeros((round(seconds * 10), 16, 24, 3), np.uint8)
    frames[..., 0] = 15 * number
    frames[..., 1] = 10 * np.arange(len(frames))[:, None, None]
    return PackedClip(
        id=f"clip-{number:02}",
        data_path=f"clip-{number:02}.mp4",
        label_indices=(number % 3,),
        label_names=(LABELS[number % 3],),
        start_seconds=0.0,
        duration_seconds=seconds,
        audio=None if ABSENT.get(number) == "audio" else audio,
        sample_rate_hz=RATE_HZ,
        frames=None if ABSENT.get(number) == "video" else frames,
        frame_rate_hz=10.0,
    )


def write_shards(folder, clips=None):
    """Two shards of the real record format, and the set that describes them."""
    clips = [_clip(number) for number in range(NUM_TRAIN + NUM_TEST)] if clips is None else clips
    locations = []
    for split, chosen in (("train", clips[:NUM_TRAIN]), ("test", clips[NUM_TRAIN:])):
        path, offset = str(Path(folder) / f"{split}-00000-of-00001.tfrecord"), 0
        with tf.io.TFRecordWriter(path) as writer:
            for clip in chosen:
                payload = encode_clip_record(clip)
                writer.write(payload)
                locations.append(
                    RecordLocation(
                        shard_path=path,
                        offset_bytes=offset,
                        length_bytes=len(payload) + 16,
                        id=clip.id,
                        split=split,
                        duration_seconds=clip.duration_seconds,
                        has_audio=clip.audio is not None,
                        has_video=clip.frames is not None,
                        label_indices=tuple(clip.label_indices),
                    )
                )
                offset += len(payload) + 16
    settings = {"sample_rate_hz": RATE_HZ, "frame_rate_hz": 10.0}
    shards = ShardSet(str(folder), LABELS, False, settings, "0" * 64, tuple(locations))
    return ClipData(shards, {split: tuple(shards.split(split)) for split in ("train", "val", "test")})


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"))


def digests(dataset, count):
    """One hash per batch, over every byte of it."""
    return [
        hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in tf.nest.flatten(batch))).hexdigest()
        for batch in dataset.take(count).as_numpy_iterator()
    ]


def test_data_without_a_clip_to_measure_on_name_the_folder_and_what_to_do(tmp_path):
    class_folder = tmp_path / "train" / "bell"
    class_folder.mkdir(parents=True)
    for number in range(3):
        (class_folder / f"{number}.mp4").write_bytes(b"media")
    data = open_data(tmp_path, _config())
    with pytest.raises(SourceError, match=r"Put clips to learn from under `train/`") as caught:
        evaluation_dataset(data, _config(), preprocess)
    assert caught.value.path == str(tmp_path)


# --- Shards, training


def test_training_batches_have_the_promised_shapes_and_no_strings(shards):
    x, y = training_dataset(shards, _config(), preprocess).element_spec
    assert {name: (spec.shape, spec.dtype) for name, spec in x.items() if name != "presence"} == {
        "audio": ((4, 64, 8), tf.float32),
        "video": ((4, 4, 8, 12, 3), tf.float32),
    }
    assert {name: (spec.shape, spec.dtype) for name, spec in x["presence"].items()} == {
        "audio": ((4,), tf.bool),
        "video": ((4,), tf.bool),
    }
    assert (y.shape, y.dtype) == ((4, 3), tf.float32)
    assert training_dataset(shards, _config(), preprocess).cardinality() == tf.data.INFINITE_CARDINALITY


@pytest.mark.slow
def test_starting_at_step_k_gives_the_bytes_that_follow_k_batches(shards):
    whole = digests(training_dataset(shards, _config(), preprocess), 12)
    assert len({*whole}) == 12
    for start in (1, 3, 4, 9):
        part = digests(training_dataset(shards, _config(), preprocess, start_step=start), 12 - start)
        assert part == whole[start:]


@pytest.mark.slow
def test_a_fresh_process_gives_the_same_bytes(shards, tmp_path):
    write_shards(tmp_path)
    code = (
        "import json, sys, importlib.util as u\n"
        f"spec = u.spec_from_file_location('test_data', {__file__!r}); t = u.module_from_spec(spec)\n"
        "spec.loader.exec_module(t)\n"
        f"data = t.write_shards({str(tmp_path)!r})\n"
        "print(json.dumps(t.digests(t.training_dataset(data, t._config(), t.preprocess, start_step=5), 3)))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ},
        check=True,
    )
    expected = digests(training_dataset(shards, _config(), preprocess), 8)[5:]
    assert json.loads(run.stdout.splitlines()[-1]) == expected


def test_another_seed_gives_other_batches(shards):
    config = _config()
    other = dataclasses.replace(config, training=dataclasses.replace(config.training, seed=8))
    first = digests(training_dataset(shards, config, preprocess), 3)
    assert not {*first} & {*digests(training_dataset(shards, other, preprocess), 3)}


def test_every_clip_comes_once_per_pass_with_its_own_sound_picture_and_label(shards):
    batches = training_dataset(shards, _config(plain=True), preprocess).take(NUM_TRAIN)
    seen = []
    for x, y in batches.as_numpy_iterator():
        for row in range(4):
            sound, picture = x["presence"]["audio"][row], x["presence"]["video"][row]
            by_sound = int(x["audio"][row, 0, 0] + 1e-4)
            by_picture = round((x["video"][row, ..., 0].mean() + 1) * 127.5 / 15)
            number = by_sound if sound else by_picture
            assert not (sound and picture) or by_sound == by_picture
            assert (sound, picture) == (ABSENT.get(number) != "audio", ABSENT.get(number) != "video")
            assert y[row].argmax() == number % 3
            assert y[row].sum() == 1
            seen.append(number)
    for first in range(0, 4 * NUM_TRAIN, NUM_TRAIN):
        assert sorted(seen[first : first + NUM_TRAIN]) == list(range(NUM_TRAIN))


def test_both_streams_show_the_same_moment_and_starts_vary(shards):
    starts = []
    for x, _ in training_dataset(shards, _config(plain=True), preprocess).take(6).as_numpy_iterator():
        for row in np.flatnonzero(x["presence"]["audio"] & x["presence"]["video"]):
            start_seconds = (x["audio"][row, 0, 0] % 1) * 100
            frames = np.round((x["video"][row, :, 4, 6, 1] + 1) * 12.75)
            expected = np.floor((start_seconds + (np.arange(4) + 0.5) * 0.16) * 10 + 1e-2)
            assert np.abs(frames - expected).max() <= 1
            assert np.abs(frames - expected).mean() < 0.3
            starts.append(start_seconds)
    assert max(starts) - min(starts) > 0.5
    assert min(starts) >= 0
    assert max(starts) <= 0.86 + 2e-3


def test_absent_streams_hold_zeros_after_all_augmentation(shards):
    num_absent = 0
    for x, y in training_dataset(shards, _config(), preprocess).take(10).as_numpy_iterator():
        for stream in ("audio", "video"):
            absent = ~x["presence"][stream]
            num_absent += absent.sum()
            assert not x[stream][absent].any()
            assert np.isfinite(x[stream]).all()
        assert (x["presence"]["audio"] | x["presence"]["video"]).all()
        np.testing.assert_allclose(y.sum(1), 1.0, atol=1e-6)
    assert num_absent > 5


def test_a_waveform_is_given_as_it_is_and_never_masked(shards):
    config = _config(plain=True)
    masks = dataclasses.replace(config.data.augmentation, num_time_masks=4, num_frequency_masks=4)
    samples = GEOMETRY.num_samples
    model = dataclasses.replace(config.model, waveform_patch=64)
    config = dataclasses.replace(
        config, data=dataclasses.replace(config.data, augmentation=masks), model=model
    )
    batches = training_dataset(shards, config, AudioVisualPreprocessor(GEOMETRY, None, LABELS))
    assert batches.element_spec[0]["audio"].shape == (4, samples)
    for x, _ in batches.take(3).as_numpy_iterator():
        sound = x["audio"][x["presence"]["audio"]]
        assert sound.dtype == np.float32 and (np.diff(sound) > 0).all()  # the clip's ramp, no sample hidden


def test_a_stream_can_be_taken_away_more_often_than_the_other(shards):
    config = _config()
    rates = dataclasses.replace(config.data.augmentation, modality_dropout_rate=(0.0, 0.9))
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, augmentation=rates))
    seen = [
        x["presence"] for x, _ in training_dataset(shards, config, preprocess).take(13).as_numpy_iterator()
    ]
    share = {name: np.mean([presence[name] for presence in seen]) for name in ("audio", "video")}
    assert share["audio"] == 12 / 13 and 0 < share["video"] < 0.4


def test_one_stream_can_be_read_alone(shards):
    x, _ = next(iter(training_dataset(shards, _config(streams=("video",)), preprocess)))
    assert sorted(x) == ["presence", "video"]
    assert sorted(x["presence"]) == ["video"]


@pytest.fixture(scope="module")
def rare_drum(tmp_path_factory):
    """Shards of twelve bells and one drum to train on."""
    clips = [_clip(3 * number % 15) for number in range(12)] + [_clip(1)]
    clips = [dataclasses.replace(clip, id=f"{row}") for row, clip in enumerate(clips)]
    return write_shards(tmp_path_factory.mktemp("drum"), [*clips, *map(_clip, range(NUM_TRAIN, 18))])


def test_balanced_classes_show_rare_clips_more_often(rare_drum):
    counts = {}
    for balanced in (True, False):
        config = _config(plain=True, class_balance=balanced)
        batches = training_dataset(rare_drum, config, preprocess).take(NUM_TRAIN).as_numpy_iterator()
        counts[balanced] = sum(y[:, 1].sum() for _, y in batches)
    assert counts[False] == 4  # once in each of four passes
    assert 4 * 6 <= counts[True] <= 4 * 7  # half of each


@pytest.mark.slow
def test_balanced_classes_resume_at_any_step_byte_for_byte(rare_drum):
    config = _config(class_balance=True)
    whole = digests(training_dataset(rare_drum, config, preprocess), 8)
    for start in (1, 3, 5):
        part = digests(training_dataset(rare_drum, config, preprocess, start_step=start), 8 - start)
        assert part == whole[start:]


# --- Shards, evaluation


def test_evaluation_gives_every_clip_once_and_weighs_the_filling_nothing(shards):
    dataset, ids = evaluation_dataset(shards, _config(), preprocess)
    batches = list(dataset.as_numpy_iterator())
    weights = np.concatenate([weight for _, _, weight in batches])
    assert ids == [f"clip-{number:02}" for number in range(NUM_TRAIN, NUM_TRAIN + NUM_TEST)]
    assert weights.tolist() == [1] * 5 + [0] * 3
    labels = np.concatenate([y for _, y, _ in batches])
    assert labels[:5].argmax(1).tolist() == [number % 3 for number in range(13, 18)]
    assert not batches[-1][0]["presence"]["audio"][1:].any()
    starts = (batches[0][0]["audio"][:, 0, 0] % 1) * 100
    np.testing.assert_allclose(starts, (1.5 - 0.64) / 2, atol=2e-3)
    assert digests(dataset, 2) == digests(dataset, 2)


def test_several_test_windows_stand_in_a_row_from_start_to_end(shards):
    dataset, ids = evaluation_dataset(shards, _config(test_clips=3), preprocess)
    assert ids[:4] == ["clip-13", "clip-13", "clip-13", "clip-14"]
    sound = np.concatenate([x["audio"][:, 0, 0] for x, _, _ in dataset.as_numpy_iterator()])
    np.testing.assert_allclose((sound[:3] % 1) * 100, [0.0, 0.43, 0.86], atol=2e-3)
    assert len(ids) == 15


def test_another_split_can_be_evaluated_and_an_empty_one_is_named(shards):
    _, ids = evaluation_dataset(shards, _config(), preprocess, split="train")
    assert len(ids) == NUM_TRAIN
    with pytest.raises(SourceError, match=r"\['train', 'test'\]. Received: split='val'"):
        evaluation_dataset(shards, _config(), preprocess, split="val")


# --- Shards, faults


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_sound_that_is_not_finite_is_refused_at_the_edge(tmp_path, value):
    clips = [_clip(number) for number in range(NUM_TRAIN)]
    data = write_shards(tmp_path, clips)
    assert len(digests(training_dataset(data, _config(), preprocess), 4)) == 4
    audio = clips[2].audio.copy()
    audio[600:640] = value
    clips[2] = dataclasses.replace(clips[2], audio=audio)
    data = write_shards(tmp_path, clips)
    with pytest.raises(ShardError, match="NaN or infinity(.|\n)*clip-02") as caught, host_errors(data.faults):
        digests(training_dataset(data, _config(), preprocess), 4)
    assert caught.value.reason == "non_finite"


def test_an_index_that_names_another_record_is_noticed(tmp_path):
    data = write_shards(tmp_path)
    places = list(data.clips["train"])
    places[0], places[1] = (
        dataclasses.replace(places[0], offset_bytes=places[1].offset_bytes),
        dataclasses.replace(places[1], offset_bytes=places[0].offset_bytes),
    )
    wrong = dataclasses.replace(data, clips={**data.clips, "train": tuple(places)})
    assert len(digests(training_dataset(data, _config(), preprocess), 4)) == 4
    with pytest.raises(ShardError, match="not the one its index names") as caught, host_errors(wrong.faults):
        digests(training_dataset(wrong, _config(), preprocess), 4)
    assert caught.value.reason == "bad_record"


def test_a_damaged_record_stops_with_a_shard_error(tmp_path):
    data = write_shards(tmp_path)
    place = data.clips["train"][4]
    content = bytearray(Path(place.shard_path).read_bytes())
    content[place.offset_bytes + 50] ^= 1
    Path(place.shard_path).write_bytes(content)
    with pytest.raises(ShardError, match="corrupted record") as caught, host_errors(data.faults):
        digests(training_dataset(data, _config(), preprocess), 4)
    assert caught.value.reason == "checksum"


def test_shards_of_another_sample_rate_are_refused(shards):
    config = _config()
    geometry = dataclasses.replace(GEOMETRY, sample_rate_hz=1600)
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, geometry=geometry))
    with pytest.raises(ConfigError, match="of the shards, 800. Received: .*sample_rate_hz=1600") as caught:
        training_dataset(shards, config, preprocess)
    assert "--set data.geometry.sample_rate_hz=800" in caught.value.advice
    assert "prepare --sample-rate-hz 1600" in caught.value.advice


# --- Media files, decoded on the fly


@pytest.fixture(scope="module")
def media_folder(tmp_path_factory):
    """Class folders of real MP4 files: seven to train on, one of them without sound, and three to test."""
    folder = tmp_path_factory.mktemp("media")
    for number in range(10):
        path = folder / ("train" if number < 7 else "test") / LABELS[number % 3] / f"clip-{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        video = np.full((12, 32, 48, 3), 20 * number, np.uint8)
        times = np.arange(16000) / 16000
        audio = 0.3 * np.sin(2 * np.pi * 100 * (number + 1) * times, dtype=np.float32)[None]
        encode_mp4(str(path), video, 12, None if number == 2 else audio, None if number == 2 else 16000)
    return folder


def _media(folder, **changes):
    config = _config(plain=True, **changes)
    return open_data(folder, config), config


def test_media_files_give_the_same_batches_as_promised_for_shards(media_folder):
    data, config = _media(media_folder)
    assert (data.num_train, data.num_test, data.label_names) == (7, 3, LABELS)
    seen = []
    for x, y in training_dataset(data, config, preprocess).take(7).as_numpy_iterator():
        assert x["video"].shape == (4, 4, 8, 12, 3)
        for row in range(4):
            number = round((x["video"][row].mean() + 1) * 127.5 / 20)
            assert y[row].argmax() == number % 3
            assert x["presence"]["audio"][row] == (number != 2)
            assert x["audio"][row].any() == (number != 2)
            seen.append(number)
    for first in range(0, 28, 7):
        assert sorted(seen[first : first + 7]) == list(range(7))


def test_media_files_resume_at_any_step_byte_for_byte(media_folder):
    config = _config()
    data = open_data(media_folder, config)
    whole = digests(training_dataset(data, config, preprocess), 5)
    assert digests(training_dataset(data, config, preprocess, start_step=3), 2) == whole[3:]


def test_the_number_of_workers_and_their_limits_change_no_byte(media_folder):
    one = _config()
    changed = {"num_workers": 3, "deadline_seconds": 99.0, "max_worker_bytes": None}
    many = dataclasses.replace(one, data=dataclasses.replace(one.data, **changed))
    data = open_data(media_folder, one)
    assert one.data.num_workers == 1
    assert digests(training_dataset(data, many, preprocess), 4) == digests(
        training_dataset(data, one, preprocess), 4
    )


def test_media_files_of_rare_classes_come_again_and_each_time_is_accounted_for(media_folder):
    rows = [f"train/bell/clip-{number}.mp4,bell,train" for number in (0, 3, 6)]
    path = media_folder / "rare.csv"
    path.write_text("\n".join(["path,label,split", *rows, "train/drum/clip-1.mp4,drum,train"]) + "\n")
    config = _config(plain=True, class_balance=True)
    data = open_data(path, config)
    whole = list(training_dataset(data, config, preprocess).take(3).as_numpy_iterator())
    assert [y[:, 1].sum() for _, y in whole] == [2, 2, 2]  # half of each pass of four clips
    (x, _), *_ = training_dataset(data, config, preprocess, start_step=2).take(1).as_numpy_iterator()
    np.testing.assert_array_equal(x["video"], whole[2][0]["video"])


def test_where_no_test_split_is_labelled_val_is_evaluated(media_folder):
    rows = ["path,label,split", "train/bell/clip-0.mp4,bell,train", "train/drum/clip-1.mp4,drum,val"]
    path = media_folder / "validated.csv"
    path.write_text("\n".join(rows) + "\n")
    data, config = open_data(path, _config(plain=True)), _config(plain=True)
    assert evaluation_dataset(data, config, preprocess)[1] == ["train/drum/clip-1.mp4"]


def test_clips_without_labels_are_refused_in_a_sentence(media_folder, tmp_path):
    ids = media_folder / "some.txt"
    ids.write_text("clip-0\nclip-1\n")
    with pytest.raises(SourceError, match="have no labels, and this task learns from labels") as caught:
        open_data(ids, _config())
    assert caught.value.reason == "bad_label" and "audio_visual_pretraining" in str(caught.value)
    prepare(ids, tmp_path / "shards", sample_rate_hz=RATE_HZ, num_workers=1)
    with pytest.raises(SourceError, match="have no labels"):
        open_data(tmp_path / "shards", _config())


def test_a_fold_of_esc50_is_chosen_by_a_setting_and_never_of_shards(packed_folder, media_folder, tmp_path):
    media = {".wav": next(media_folder.rglob("*.mp4")).read_bytes()}
    names = clip_maker.esc50(tmp_path)
    clip_maker.put(media, tmp_path, *(f"audio/{name}" for name in names))
    for fold in (1, 2, 3):
        data = open_data(tmp_path, _config(test_fold=fold, streams=("audio",)))
        assert [clip.id for clip in data.split("test")] == [f"audio/{names[fold - 1]}"]
    with pytest.raises(
        ConfigError, match="`data.test_fold` must be None for shards. Received: data.test_fold=1"
    ):
        open_data(packed_folder, _config(test_fold=1))


def test_the_split_that_is_evaluated_may_be_chosen_where_both_are_there(media_folder, tmp_path):
    media = {".mp4": next(media_folder.rglob("*.mp4")).read_bytes()}
    splits = ("train", "val", "test")
    clip_maker.put(media, tmp_path, *(f"{split}/{name}/1.mp4" for split in splits for name in LABELS))
    for chosen, expected in ((None, "test"), ("val", "val"), ("test", "test")):
        config = _config(evaluation_split=chosen)
        data = open_data(tmp_path, config)
        assert data.evaluation_split == expected
        assert evaluation_dataset(data, config, preprocess)[1] == [
            f"{expected}/{name}/1.mp4" for name in LABELS
        ]


def test_a_split_to_evaluate_without_clips_is_refused_with_those_that_have_some(packed_folder):
    with pytest.raises(
        ConfigError, match=r"a split that holds clips: \['test'\]. Received: data.evaluation_split='val'"
    ):
        open_data(packed_folder, _config(evaluation_split="val"))


def test_media_files_are_evaluated_in_order(media_folder):
    data, config = _media(media_folder, test_clips=2)
    dataset, ids = evaluation_dataset(data, config, preprocess)
    weights = np.concatenate([weight for _, _, weight in dataset.as_numpy_iterator()])
    assert [Path(clip_id).name for clip_id in ids[::2]] == [f"clip-{n}.mp4" for n in (9, 7, 8)]
    assert weights.tolist() == [1] * 6 + [0] * 2


def test_a_clip_without_the_only_stream_asked_for_has_no_weight(media_folder):
    data, config = _media(media_folder, streams=("audio",))
    dataset, ids = evaluation_dataset(data, config, preprocess, split="train")
    weights = np.concatenate([weight for _, _, weight in dataset.as_numpy_iterator()])
    assert [ids[row][-5:] for row in np.flatnonzero(weights[:7] == 0)] == ["2.mp4"]


@pytest.fixture
def damaged_folder(media_folder, tmp_path):
    """The media folder with one training file cut in half."""
    for path in sorted(media_folder.rglob("*.mp4")):
        copy = tmp_path / path.relative_to(media_folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        content = path.read_bytes()
        copy.write_bytes(content[: len(content) // 2] if path.name == "clip-4.mp4" else content)
    return tmp_path


def test_a_damaged_file_stops_the_run_with_its_name(damaged_folder):
    data, config = _media(damaged_folder, on_error="raise")
    with pytest.raises(MediaError) as caught, host_errors(data.faults):
        digests(training_dataset(data, config, preprocess), 2)
    assert caught.value.path.endswith("clip-4.mp4")
    assert caught.value.exit_code == 3


@pytest.mark.slow
def test_a_skipped_file_keeps_its_place_as_a_blank_and_is_written_down(
    damaged_folder, media_folder, tmp_path
):
    log = tmp_path / "faults.jsonl"
    data, config = _media(damaged_folder, on_error="skip", max_bad_fraction=0.2)
    clean, _ = _media(media_folder)
    damaged_batches = training_dataset(data, config, preprocess, faults_path=log).take(4).as_numpy_iterator()
    clean_batches = training_dataset(clean, config, preprocess).take(4).as_numpy_iterator()
    num_blank = 0
    for (x, y), (clean_x, clean_y) in zip(damaged_batches, clean_batches, strict=True):
        blank = ~(x["presence"]["audio"] | x["presence"]["video"])
        num_blank += blank.sum()
        assert not x["video"][blank].any()
        np.testing.assert_array_equal(y, clean_y)
        for stream in ("audio", "video"):
            np.testing.assert_array_equal(x[stream][~blank], clean_x[stream][~blank])
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert 2 <= num_blank <= 3  # 16 positions hold two whole passes over seven clips.
    assert len(rows) >= num_blank
    assert {(Path(row["id"]).name, row["outcome"]) for row in rows} == {("clip-4.mp4", "skipped")}


@pytest.mark.parametrize(("lost", "kept"), [("video", "audio"), ("audio", "video")])
def test_a_clip_keeps_its_good_stream_and_its_damaged_one_is_written_down_once(
    media_folder, tmp_path, lost, kept
):
    folder, log = tmp_path / "media", tmp_path / "faults.jsonl"
    shutil.copytree(media_folder, folder)
    (damaged,) = folder.rglob("clip-4.mp4")
    spoil_stream(damaged, lost)
    data, config = _media(folder, on_error="drop_modality", max_bad_fraction=0.2)
    clean, _ = _media(media_folder)
    dataset, ids = evaluation_dataset(data, config, preprocess, split="train", faults_path=log)
    clean_dataset, _ = evaluation_dataset(clean, config, preprocess, split="train")
    examples, clean_examples = list(dataset.unbatch()), list(clean_dataset.unbatch())
    assert len(examples) == len(clean_examples) == 8  # seven clips and a filling
    for clip_id, (x, y, weight), (clean_x, clean_y, _) in zip(ids, examples, clean_examples, strict=False):
        is_damaged = clip_id.endswith("clip-4.mp4")
        assert weight == 1 and bool(x["presence"][kept]) == bool(clean_x["presence"][kept])
        np.testing.assert_array_equal(x[kept], clean_x[kept])
        np.testing.assert_array_equal(y, clean_y)
        if is_damaged:
            assert clean_x["presence"][lost] and not x["presence"][lost] and not x[lost].numpy().any()
        else:
            np.testing.assert_array_equal(x[lost], clean_x[lost])
    (row,) = [json.loads(line) for line in log.read_text().splitlines()]
    assert (Path(row["id"]).name, row["outcome"], row["stream"]) == ("clip-4.mp4", "dropped_stream", lost)
    assert row["reason"] == "corrupt" and row["path"].endswith("clip-4.mp4")


def test_a_damaged_stream_is_absent_in_every_pass_of_training(media_folder, tmp_path):
    folder = tmp_path / "media"
    shutil.copytree(media_folder, folder)
    (damaged,) = folder.rglob("clip-4.mp4")
    spoil_stream(damaged, "video")
    data, config = _media(folder, on_error="drop_modality", max_bad_fraction=0.2)
    presences = [x["presence"] for x, _ in training_dataset(data, config, preprocess).take(7)]  # four passes
    heard, seen = (np.concatenate([p[stream] for p in presences]) for stream in ("audio", "video"))
    assert (heard & ~seen).sum() == 4 and (seen & ~heard).sum() == 4  # clip 4, and clip 2 without sound


def test_too_many_bad_files_stop_the_run_even_when_skipping(damaged_folder):
    data, config = _media(damaged_folder, on_error="skip", max_bad_fraction=0.1)
    with pytest.raises(SourceError, match="1 of 7 clips are bad") as caught, host_errors(data.faults):
        digests(training_dataset(data, config, preprocess), 2)
    assert caught.value.reason == "too_many_faults"


def test_a_restart_near_the_end_of_a_pass_allows_the_same_share(damaged_folder):
    data, config = _media(damaged_folder, on_error="skip", max_bad_fraction=0.2)
    assert len(digests(training_dataset(data, config, preprocess, start_step=1), 2)) == 2


def test_other_classes_than_the_models_are_refused(media_folder, shards):
    assert open_data(media_folder, _config(), label_names=LABELS).label_names == LABELS
    with pytest.raises(SourceError, match="horn"):
        open_data(media_folder, _config(), label_names=("bell", "drum"))


def test_several_labels_ask_for_a_multi_label_model(media_folder):
    rows = ["path,label,split", "train/bell/clip-0.mp4,bell;drum,train", "train/drum/clip-1.mp4,drum,test"]
    path = media_folder / "labels.csv"
    path.write_text("\n".join(rows) + "\n")
    config = _config(plain=True)
    with pytest.raises(ConfigError, match="`model.multi_label` must be true"):
        open_data(path, config)
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, multi_label=True))
    data = open_data(path, config)
    _, y, _ = next(iter(evaluation_dataset(data, config, preprocess, split="train")[0]))
    assert y[0].numpy().tolist() == [1, 1]


# --- Packed media


@pytest.fixture(scope="module")
def packed_folder(media_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed") / "shards"
    prepare(media_folder, folder, sample_rate_hz=RATE_HZ, num_workers=1)
    return folder


@pytest.mark.slow
def test_packed_and_unpacked_clips_give_the_same_examples(media_folder, packed_folder):
    data, config = _media(media_folder)
    packed = open_data(packed_folder, config, label_names=LABELS)
    assert (packed.num_train, packed.num_test, packed.label_names) == (7, 3, LABELS)
    for split in ("train", "test"):
        direct, shards = _by_id(data, config, split), _by_id(packed, config, split)
        assert sorted(direct) == sorted(shards)
        for clip_id, (x, y) in direct.items():
            shard_x, shard_y = shards[clip_id]
            np.testing.assert_array_equal(y, shard_y)
            assert x["presence"] == shard_x["presence"]
            np.testing.assert_allclose(x["video"], shard_x["video"], atol=0.06)
            assert np.abs(x["audio"] - shard_x["audio"]).mean() < 0.02


def _by_id(data, config, split):
    dataset, ids = evaluation_dataset(data, config, preprocess, split=split)
    examples = [(x, y) for x, y, weight in dataset.unbatch().as_numpy_iterator() if weight]
    return dict(zip(ids, examples, strict=True))


def test_packed_clips_resume_at_any_step_byte_for_byte(packed_folder):
    data = open_data(packed_folder, _config())
    whole = digests(training_dataset(data, _config(), preprocess), 5)
    assert digests(training_dataset(data, _config(), preprocess, start_step=3), 2) == whole[3:]


def test_a_shard_damaged_after_it_was_opened_is_named(packed_folder, tmp_path):
    folder = tmp_path / "shards"
    shutil.copytree(packed_folder, folder)
    data = open_data(folder, _config())
    place = data.clips["train"][4]
    content = bytearray(Path(place.shard_path).read_bytes())
    content[place.offset_bytes + 50] ^= 1
    Path(place.shard_path).write_bytes(content)
    with pytest.raises(ShardError, match=place.id) as caught, host_errors(data.faults):
        digests(training_dataset(data, _config(), preprocess), 4)
    assert (caught.value.path, caught.value.reason) == (place.shard_path, "checksum")


def test_shards_with_other_classes_than_the_models_are_refused(packed_folder):
    assert open_data(packed_folder, _config(), label_names=LABELS).num_test == 3
    with pytest.raises(
        ShardError, match=r"Expected: \['bell', 'drum'\]. Received: \['bell', 'drum', 'horn'\]"
    ):
        open_data(packed_folder, _config(), label_names=("bell", "drum"))


# --- Several hosts


@pytest.mark.slow
def test_hosts_that_read_their_own_rows_give_the_batches_of_one(shards):
    config = _config()  # with mixup, modality dropout and SpecAugment
    check_parts(partial(training_dataset, shards, config, preprocess))


@pytest.mark.slow
def test_hosts_that_decode_media_give_the_batches_of_one(media_folder):
    data, config = _media(media_folder)
    check_parts(partial(training_dataset, data, config, preprocess))


@pytest.mark.parametrize(("plain", "expected"), [(True, [4, 2]), (False, [4, 3])])
def test_a_host_decodes_its_own_rows_and_the_partner_of_the_first(shards, monkeypatch, plain, expected):
    config, read = _config(plain=plain), []
    for part in (BatchPart(), BatchPart(1, 2)):
        make = partial(training_dataset, shards, config, preprocess, part=part)
        read.append(positions_read(monkeypatch, clip_batches, make, 5))
    assert [len(positions) / 5 for positions in read] == expected
    assert read[0] == list(range(20)) and read[1][-expected[1] :] == list(range(20 - expected[1], 20))


@pytest.mark.slow
def test_a_bad_clip_is_accounted_for_by_the_hosts_that_read_it(damaged_folder, tmp_path):
    data, config = _media(damaged_folder, on_error="skip", max_bad_fraction=0.3)
    logs = [tmp_path / f"faults-{index}.jsonl" for index in range(2)]
    for index, log in enumerate(logs):
        dataset = training_dataset(data, config, preprocess, faults_path=log, part=BatchPart(index, 2))
        digests(dataset, 7)  # four passes over seven clips
    ids = [json.loads(line)["id"] for log in logs for line in log.read_text().splitlines()]
    assert len(ids) >= 4 and {Path(name).name for name in ids} == {"clip-4.mp4"}
