"""One file in, its classes out; and a long file as a timeline."""

import csv
import io
import weakref

import numpy as np
import pytest
from rich.console import Console

pytest.importorskip("tensorflow")

from zorro_keras.applications.pipelines.encode_mp4 import encode_mp4
from zorro_keras.applications.pipelines.faults import ConfigError, MediaError
from zorro_keras.applications.pipelines.media import Window
from zorro_keras.applications.training import timeline as timeline_module
from zorro_keras.applications.training.predict import predict_file, timeline
from zorro_keras.applications.training.run import open_run
from zorro_keras.applications.training.window_classifier import WindowClassifier

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


def write_media(path, seconds, *, has_sound=True, rate_hz=8, sample_rate_hz=16_000):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (round(seconds * rate_hz), 32, 48, 3), np.uint8)
    sound = rng.uniform(-0.5, 0.5, (1, round(seconds * sample_rate_hz))).astype("float32")
    encode_mp4(
        str(path), frames, rate_hz, sound if has_sound else None, sample_rate_hz if has_sound else None
    )
    return path


@pytest.fixture(scope="module")
def clip(small_clips):
    plan = next(plan for plan in small_clips.plans if plan.audible and plan.visible)
    return small_clips.folder / plan.path


def test_the_top_classes_of_every_head_are_shown(small_run, clip):
    text = io.StringIO()
    answers = predict_file(small_run, clip, top=3, console=Console(file=text, width=200))
    assert set(answers) == {"audio", "video", "fusion", "global"}
    for rows in answers.values():
        probabilities = [row["probability"] for row in rows]
        assert len(rows) == 3 and probabilities == sorted(probabilities, reverse=True)
        assert 0 < sum(probabilities) <= 1
        assert rows[0]["label"] in text.getvalue()
    assert clip.name in text.getvalue()


def test_audio_only_does_not_look_at_the_picture(small_run, clip):
    alone = predict_file(small_run, clip, streams=("audio",), console=Console(file=io.StringIO()))
    both = predict_file(small_run, clip, console=Console(file=io.StringIO()))
    assert set(alone) == {"audio", "fusion", "global"}
    for mine, joint in zip(alone["audio"], both["audio"], strict=True):
        assert mine["label"] == joint["label"]
        assert mine["probability"] == pytest.approx(joint["probability"], abs=1e-5)
    assert alone["fusion"] != both["fusion"]


def test_a_silent_video_is_answered_from_its_picture(small_run, tmp_path):
    path = write_media(tmp_path / "silent.mp4", 2.0, has_sound=False)
    answers = predict_file(small_run, path, console=Console(file=io.StringIO()))
    assert set(answers) == {"video", "fusion", "global"}
    with pytest.raises(MediaError, match="The file has no audio") as caught:
        predict_file(small_run, path, streams=("audio",))
    assert caught.value.reason == "no_audio"


def test_unknown_streams_and_empty_tops_are_refused(small_run, clip):
    with pytest.raises(ConfigError, match=r"`streams` must be chosen from the model's streams"):
        predict_file(small_run, clip, streams=("smell",))
    with pytest.raises(ValueError, match="`top` must be positive"):
        predict_file(small_run, clip, top=0)


def test_file_names_are_not_markup(small_run, clip, tmp_path):
    copy = tmp_path / "[red]loud[red].mp4"
    copy.write_bytes(clip.read_bytes())
    text = io.StringIO()
    predict_file(small_run, copy, console=Console(file=text, width=200))
    assert "[red]loud[red].mp4" in text.getvalue()


def test_a_long_file_gives_a_table_and_a_plot(small_run, tmp_path):
    path = write_media(tmp_path / "long.mp4", 6.0)
    result = timeline(small_run, path, tmp_path / "out", hop_seconds=0.5)
    with open(tmp_path / "out" / "timeline.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert result["head"] == "fusion" and result["num_windows"] == len(rows) == 11
    assert [float(row["start_seconds"]) for row in rows] == [0.5 * index for index in range(11)]
    assert float(rows[-1]["end_seconds"]) == pytest.approx(6.0, abs=0.15)
    labels = open_run(small_run).label_names
    for row in rows:
        probabilities = {label: float(row[label]) for label in labels}
        assert sum(probabilities.values()) == pytest.approx(1.0, abs=1e-3)
        assert row["label"] == max(probabilities, key=probabilities.get)
    assert (tmp_path / "out" / "timeline.png").read_bytes().startswith(b"\x89PNG")


def test_a_timeline_row_is_the_answer_to_its_window(small_run, tmp_path):
    path = write_media(tmp_path / "long.mp4", 4.0)
    task = open_run(small_run).task
    timeline(small_run, path, tmp_path, streams=("video",), hop_seconds=1.0)
    with open(tmp_path / "timeline.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    classifier = WindowClassifier(task, ("video",), 8)
    windows = list(
        timeline_module.iterate_windows(path, classifier.geometry, hop_seconds=1.0, streams=("video",))
    )
    expected = timeline_module.to_probabilities(classifier(windows)["video"], multi_label=False)
    names = open_run(small_run).label_names
    received = [[float(row[name]) for name in names] for row in rows]
    np.testing.assert_allclose(received, expected, atol=1e-4)


def test_a_window_without_sound_has_no_answer_from_sound(small_run):
    task = open_run(small_run).task
    classifier = WindowClassifier(task, ("audio", "video"), 3)
    clip, rng = classifier.geometry, np.random.default_rng(0)
    sound = rng.normal(size=clip.num_samples).astype("float32")
    frames = rng.integers(0, 256, (clip.num_frames, clip.height_px, clip.width_px, 3), np.uint8)
    answers = classifier([Window(sound, frames, 0.0), Window(None, frames, 1.0)])
    assert np.isfinite(answers["audio"][0]).all() and np.isnan(answers["audio"][1]).all()
    assert np.isfinite(answers["video"]).all() and np.isfinite(answers["fusion"]).all()


def test_a_timeline_holds_few_windows_at_a_time(small_run, tmp_path, monkeypatch):
    """However long the file: windows that were answered are gone."""
    alive, most = weakref.WeakSet(), []
    path = write_media(tmp_path / "short.mp4", 2.0, has_sound=False)

    class Tracked:
        def __init__(self, clip, start_seconds):
            self.audio, self.start_seconds = None, start_seconds
            self.video = np.zeros((clip.num_frames, clip.height_px, clip.width_px, 3), np.uint8)

    def endless(path, clip, *, hop_seconds, streams):
        for index in range(200):
            window = Tracked(clip, index * hop_seconds)
            alive.add(window)
            yield window
            del window
            most.append(len(alive))

    monkeypatch.setattr(timeline_module, "iterate_windows", endless)
    result = timeline(small_run, path, tmp_path / "out")
    assert result["num_windows"] == 200
    assert max(most) <= 2 * timeline_module._WINDOWS_AT_ONCE
