"""Clips of several files: sound and pictures in folders beside each other, pictures one by one."""

import dataclasses
import json

import numpy as np
import pytest

from tests.clip_maker import CLASSES, write_list
from tests.foreign_maker import jpegs
from tests.media_maker import quarters, write_clip, write_sound
from zorro_keras.applications.pipelines.clip_data import open_clip_data
from zorro_keras.applications.pipelines.clip_pairs import pictures_of, sounds_of
from zorro_keras.applications.pipelines.clip_parts import ClipParts
from zorro_keras.applications.pipelines.decode_task import DecodeTask, decode
from zorro_keras.applications.pipelines.faults import MediaError, SourceError
from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.pipelines.prepare import prepare
from zorro_keras.applications.pipelines.sources import read_source

CLIP = ClipGeometry(seconds=0.8, sample_rate_hz=8000, num_frames=4, height_px=34, width_px=46)


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """A film whose own sound is silent, and the sound that goes with it, each 1.2 s long."""
    folder = tmp_path_factory.mktemp("media")
    size = {"width_px": 46, "height_px": 34}
    write_clip(folder / "film.mp4", seconds=1.2, sound=np.zeros_like, sample_rate_hz=48_000, **size)
    write_sound(folder / "sound.wav", seconds=1.2)
    return {".mp4": (folder / "film.mp4").read_bytes(), ".wav": (folder / "sound.wav").read_bytes()}


@pytest.fixture
def put(media, tmp_path):
    def write(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(media[path.suffix])

    return write


def put_frames(root, names):
    for name, image in zip(names, jpegs(1.2, len(names) / 1.2), strict=True):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image)


def decoded(source, entry, **changes):
    streams = ("audio", "video")
    task = DecodeTask(
        entry.id, entry.path, source.root, None, None, 0.0, CLIP, streams, "raise", 0, 0, entry.parts
    )
    return decode(dataclasses.replace(task, **changes))


def told(source):
    names = source.label_names
    return {entry.id: ([names[i] for i in entry.label_indices], entry.split) for entry in source.entries}


# --- Which files belong together


def test_a_sound_belongs_to_the_film_of_the_same_name_in_the_folder_beside():
    paths = ["audio/dog/1.wav", "video/dog/1.mp4", "video/dog/2.mp4", "video/cat/1.mp4", "dog/3.mp4"]
    assert sounds_of(paths) == {"video/dog/1.mp4": "audio/dog/1.wav"}
    assert sounds_of(["t/wav/1.flac", "t/mp4/1.mkv", "s/mp4/1.mkv"]) == {"t/mp4/1.mkv": "t/wav/1.flac"}
    assert sounds_of(["a/1.wav", "b/1.mp4", "audio/2.mp4", "video/2.wav"]) == {}


def test_folders_of_sound_and_film_are_no_classes(tmp_path, put):
    put("audio/dog/1.wav", "video/dog/1.mp4", "video/cat/2.mp4", "audio/cat/3.wav")
    source = read_source(tmp_path, test_fraction=0.0)
    assert (source.layout, source.label_names) == ("class folders", ("cat", "dog"))
    assert told(source) == {
        "video/dog/1.mp4": (["dog"], "train"),
        "video/cat/2.mp4": (["cat"], "train"),
        "audio/cat/3.wav": (["cat"], "train"),
    }
    (pair,) = (entry for entry in source.entries if entry.parts)
    size = sum((tmp_path / name).stat().st_size for name in ("video/dog/1.mp4", "audio/dog/1.wav"))
    assert (pair.id, pair.num_bytes) == ("video/dog/1.mp4", size)


def test_folders_of_sound_and_film_may_stand_in_splits_or_alone(tmp_path, put):
    put("train/audio/dog/1.wav", "train/video/dog/1.mp4", "test/dog/video/2.mp4", "test/dog/audio/2.wav")
    assert told(read_source(tmp_path)) == {
        "train/video/dog/1.mp4": (["dog"], "train"),
        "test/dog/video/2.mp4": (["dog"], "test"),
    }
    put("plain/audio/1.wav", "plain/video/1.mp4")
    plain = read_source(tmp_path / "plain", test_fraction=0.0)
    assert (plain.layout, told(plain)) == ("a folder of files", {"video/1.mp4": ([], "train")})


def test_folders_called_audio_and_video_without_pairs_are_classes(tmp_path, put):
    put("audio/1.wav", "video/2.mp4")
    assert read_source(tmp_path).label_names == ("audio", "video")


def test_pictures_are_found_in_folders_of_frames_or_of_clips(tmp_path):
    put_frames(
        tmp_path, ["x/frame_0/a_1.jpg", "x/frame_2/a_1.jpg", "x/frame_10/a_1.jpg", "b/9.png", "b/10.JPG"]
    )
    assert pictures_of(str(tmp_path), {"a_1", "b", "c"}) == {
        "a_1": ("x/frame_0/a_1.jpg", "x/frame_2/a_1.jpg", "x/frame_10/a_1.jpg"),
        "b": ("b/9.png", "b/10.JPG"),
    }


def cav_mae(root, put):
    """Lists as CAV-MAE has them: pictures in ten folders, sounds in one."""
    write_list(root, "class_labels_indices.csv", *CLASSES)
    ids = {
        "00W1lcxW-WU_40.000": "/m/0bt9lr,/m/09x0r",
        "silent_film_1": "/m/09x0r",
        "only_sound_2": "/m/05zppz",
    }
    items = [
        {"video_id": name, "wav": f"/far/{name}.wav", "video_path": "/far/frames", "labels": labels}
        for name, labels in {**ids, "vanished_00": "/m/09x0r"}.items()
    ]
    write_list(root, "data/train.json", json.dumps({"data": items}))
    put("wav/00W1lcxW-WU_40.000.wav", "wav/only_sound_2.wav")
    for name in ("00W1lcxW-WU_40.000", "silent_film_1"):
        put_frames(root, [f"frames/frame_{number}/{name}.jpg" for number in range(10)])


def test_the_frames_of_cav_mae_belong_to_the_sound_of_the_same_id(tmp_path, put):
    cav_mae(tmp_path, put)
    source = read_source(tmp_path)
    assert told(source) == {
        "wav/00W1lcxW-WU_40.000.wav": (["Speech", "Dog"], "train"),
        "frames/frame_0/silent_film_1.jpg": (["Speech"], "train"),
        "wav/only_sound_2.wav": (["Male speech, man speaking"], "train"),
    }
    assert source.missing == {"train": ("vanished_00",)}
    assert not [path for path in source.ignored if path.endswith((".jpg", ".wav"))]
    both = next(entry for entry in source.entries if "00W1" in entry.id)
    assert len(both.parts.pictures) == 10 and both.parts.sound == both.path


def test_a_film_of_an_official_list_has_the_sound_beside_it(tmp_path, put):
    write_list(tmp_path, "ids.txt", "-abcdefghij", "0123_567_90")
    put("video/-abcdefghij.mp4", "audio/-abcdefghij.wav", "video/0123_567_90.mp4")
    source = read_source(tmp_path)
    assert {entry.id: entry.parts is not None for entry in source.entries} == {
        "video/-abcdefghij.mp4": True,
        "video/0123_567_90.mp4": False,
    }
    assert not [path for path in source.ignored if path.endswith(".wav")]


# --- What is read of them


def test_the_sound_of_a_pair_is_that_of_its_own_file(tmp_path, put):
    put("audio/1.wav", "video/1.mp4")
    source = read_source(tmp_path)
    (entry,) = source.entries
    window = decoded(source, entry)
    assert abs(window.audio).max() > 0.1 and window.faults == ()
    assert decoded(source, entry, parts=None).is_silent  # the film's own
    np.testing.assert_array_equal(window.video, decoded(source, entry, parts=None).video)
    only = decoded(source, entry, streams=("audio",))
    assert only.video is None and np.array_equal(only.audio, window.audio)


def test_single_pictures_are_spread_over_the_sound(tmp_path, put):
    put("1.wav")
    names = [f"frame_{number}/1.jpg" for number in range(6)]
    put_frames(tmp_path, names)
    source = read_source(tmp_path)
    (entry,) = source.entries
    parts = ClipParts(tuple(str(tmp_path / name) for name in names), entry.path)
    times = CLIP.frame_times(0.0)
    for sound, seconds in ((entry.path, 1.2), (None, 6.0)):
        window = decoded(source, entry, parts=dataclasses.replace(parts, sound=sound))
        shown = (times / seconds * 6).astype(int)
        for frame, number in zip(window.video, shown, strict=True):
            expected = quarters(number * 0.2, CLIP.height_px, CLIP.width_px)
            assert abs(frame.astype(int) - expected).mean() < 12
    assert window.audio is None  # without a sound file there is none


def test_a_damaged_file_costs_its_stream_alone(tmp_path, put):
    put("audio/1.wav", "video/1.mp4")
    film = tmp_path / "video/1.mp4"
    film.write_bytes(film.read_bytes()[:300])
    source = read_source(tmp_path)
    (entry,) = source.entries
    window = decoded(source, entry, on_error="drop_modality")
    assert window.video is None and window.audio is not None and len(window.faults) == 1
    with pytest.raises(MediaError):
        decoded(source, entry)
    (tmp_path / "audio/1.wav").write_bytes(b"RIFF")
    with pytest.raises(MediaError):
        decoded(source, entry, on_error="drop_modality")


def test_a_picture_that_is_none_is_named(tmp_path, put):
    cav_mae(tmp_path, put)
    (tmp_path / "frames/frame_3/silent_film_1.jpg").write_bytes(b"no picture")
    source = read_source(tmp_path)
    entry = next(entry for entry in source.entries if "silent" in entry.id)
    with pytest.raises(MediaError, match="frame 3"):
        decoded(source, entry)


def test_a_part_outside_of_the_source_is_refused(tmp_path, put):
    put("far/1.wav", "near/video/1.mp4", "near/audio/2.wav")
    (tmp_path / "near/audio/1.wav").symlink_to(tmp_path / "far/1.wav")
    with pytest.raises(SourceError, match="outside_root: 'audio/1.wav' is a link that leaves"):
        read_source(tmp_path / "near")


def test_clips_of_parts_are_packed_whole(tmp_path, put):
    cav_mae(tmp_path / "source", lambda *names: put(*(f"source/{name}" for name in names)))
    coverage = prepare(
        tmp_path / "source", tmp_path / "shards", sample_rate_hz=8000, num_workers=1, frame_rate_hz=10.0
    )
    assert coverage["streams"] == {"audio": 2, "video": 2, "both": 1}
    assert coverage["clips"]["used_whole"] == 3 and coverage["official"]["train"] == {"found": 3, "listed": 4}
    lengths = {clip.id: clip.duration_seconds for clip in open_clip_data(tmp_path / "shards").split("train")}
    assert lengths["wav/00W1lcxW-WU_40.000.wav"] == pytest.approx(1.2, abs=0.01)
    assert lengths["frames/frame_0/silent_film_1.jpg"] == pytest.approx(10.0, abs=0.01)
