"""The generated clips: exact quotas, known ceilings, real files, the same bytes every time."""

import collections
import csv
import dataclasses
import os

import av
import numpy as np
import pytest

from zorro_keras.applications.pipelines import event_pictures, event_sounds
from zorro_keras.applications.pipelines.event_pictures import Event
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.pipelines.generated_clips import (
    CEILINGS,
    EVENT_CLASSES,
    PERIODS_SECONDS,
    generate_clips,
    plan_clips,
    write_clip,
)


def bytes_of_folder(folder):
    found = {}
    for directory, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(directory, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = file.read()
    return found


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    out = str(tmp_path_factory.mktemp("clips"))
    return out, generate_clips(out, count=32, test_count=8, seed=3, num_workers=1)


def best_accuracy(plans, has_clue):
    """What a perfect judge reaches: right where there is a clue, elsewhere the most frequent class."""
    without = collections.Counter(plan.label for plan in plans if not has_clue(plan))
    return (sum(map(has_clue, plans)) + max(without.values())) / len(plans)


@pytest.mark.parametrize(("split", "count"), [("train", 960), ("test", 320)])
def test_the_ceilings_are_those_of_the_clips_dealt(split, count):
    plans = plan_clips(split, count, seed=0)
    reached = {
        "audio": best_accuracy(plans, lambda plan: plan.audible),
        "video": best_accuracy(plans, lambda plan: plan.visible),
        "audio+video": best_accuracy(plans, lambda plan: plan.audible or plan.visible),
    }
    assert reached["audio"] == CEILINGS["audio"]
    assert reached["video"] == CEILINGS["video"]
    assert reached["audio+video"] == pytest.approx(CEILINGS["audio+video"], abs=0.004)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_quotas_hold_exactly_and_in_every_class(seed):
    plans = plan_clips("train", 256, seed)
    counts = collections.Counter((plan.visible, plan.audible, plan.has_audio) for plan in plans)
    assert counts == {
        (True, True, True): 144,
        (False, True, True): 48,
        (True, False, True): 24,
        (True, False, False): 24,
        (False, False, True): 8,
        (False, False, False): 8,
    }
    for label in EVENT_CLASSES:
        of_class = [plan for plan in plans if plan.label == label]
        assert sum(not plan.visible for plan in of_class) == 8
        assert sum(not plan.audible for plan in of_class) == 8


def test_seeds_and_splits_deal_differently():
    def dealt(split, seed):
        return [(plan.visible, plan.audible, plan.seed) for plan in plan_clips(split, 64, seed)]

    assert dealt("train", 0) == dealt("train", 0)
    assert dealt("train", 0) != dealt("train", 1)
    assert dealt("train", 0) != dealt("test", 0)


def test_the_table_lists_every_clip(clips):
    out, plans = clips
    with open(os.path.join(out, "clips.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [plan.path for plan in plans]
    assert list(rows[0]) == ["path", "label", "split", "audible", "visible", "has_audio"]
    assert all(os.path.isfile(os.path.join(out, row["path"])) for row in rows)


def test_clips_are_real_and_varied(clips):
    out, plans = clips
    sizes, rates, sample_rates, channels = set(), set(), set(), set()
    for plan in plans:
        with av.open(os.path.join(out, plan.path)) as container:
            video = container.streams.video[0]
            assert video.codec_context.name == "h264"
            assert 2.3 < video.duration * video.time_base < 3.7
            sizes.add((video.width, video.height))
            rates.add(video.average_rate)
            assert len(container.streams.audio) == plan.has_audio
            for audio in container.streams.audio:
                assert audio.codec_context.name == "aac"
                sample_rates.add(audio.rate)
                channels.add(audio.channels)
    assert len(sizes) > 10 and len(rates) > 3 and len(sample_rates) > 3
    assert channels == {1, 2}


def test_bytes_depend_on_the_seed_alone(clips, tmp_path):
    out, _ = clips
    expected = bytes_of_folder(out)
    generate_clips(str(tmp_path / "again"), count=32, test_count=8, seed=3, num_workers=2)
    assert bytes_of_folder(tmp_path / "again") == expected
    generate_clips(str(tmp_path / "other"), count=8, test_count=0, seed=4, num_workers=1)
    other = bytes_of_folder(tmp_path / "other")
    assert other["train/spin/spin-0000.mp4"] != expected["train/spin/spin-0000.mp4"]


def test_an_interrupted_run_is_finished(clips, tmp_path):
    out, plans = clips

    def stop_after_five(ready, total):
        if ready == 5:
            raise KeyboardInterrupt

    arguments = {"count": 32, "test_count": 8, "seed": 3, "num_workers": 1}
    with pytest.raises(KeyboardInterrupt):
        generate_clips(str(tmp_path), **arguments, on_progress=stop_after_five)
    assert not (tmp_path / "clips.csv").exists()
    seen = []
    generate_clips(str(tmp_path), **arguments, on_progress=lambda ready, total: seen.append((ready, total)))
    assert seen == [(ready, 40) for ready in range(6, 41)]
    assert bytes_of_folder(tmp_path) == bytes_of_folder(out)


def test_a_folder_of_other_clips_is_refused(clips):
    out, _ = clips
    with pytest.raises(ConfigError, match="must be a new folder or hold clips of the same settings"):
        generate_clips(out, count=32, test_count=8, seed=4)


@pytest.mark.parametrize("wrong", [{"count": 7}, {"test_count": -1}, {"seed": -1}, {"num_workers": 0}])
def test_arguments_out_of_range_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match=f"Received: .*{next(iter(wrong))}={next(iter(wrong.values()))}"):
        generate_clips(str(tmp_path), **wrong)


def test_a_clip_that_hides_everything_is_the_same_whatever_its_label(tmp_path):
    hidden = next(p for p in plan_clips("train", 256, 0) if not p.visible and not p.audible and p.has_audio)
    open_ = dataclasses.replace(hidden, visible=True, audible=True)

    def bytes_as(plan, label):
        path = f"{label}-{plan.visible}.mp4"
        write_clip(str(tmp_path), dataclasses.replace(plan, label=label, path=path))
        return (tmp_path / path).read_bytes()

    assert bytes_as(hidden, "spin") == bytes_as(hidden, "fall")
    assert bytes_as(open_, "spin") != bytes_as(open_, "fall")


def nearest_neighbour_accuracy(features, labels):
    """Leave one out: the class of the most similar other clip."""
    features = np.array(features)
    features = (features - features.mean(0)) / (features.std(0) + 1e-9)
    distances = ((features[:, None] - features[None]) ** 2).sum(-1)
    np.fill_diagonal(distances, np.inf)
    return np.mean(np.array(labels)[distances.argmin(1)] == np.array(labels))


def events(count):
    for number in range(count):
        rng = np.random.default_rng((9, number))
        label = EVENT_CLASSES[number % 8]
        yield Event(label, rng.uniform(2.5, 3.5), rng.uniform(*PERIODS_SECONDS[label]), rng.uniform()), rng


def motion_features(frames):
    """Of the bar in eight frames `(8, Y, X, 3)`: how place, size and tilt change."""
    light = frames.mean(-1)
    bar = np.clip(light - np.median(light), 0, None)
    bar = np.where(bar > 0.5 * bar.max(), 1.0, 0.0)
    area = bar.sum((1, 2)) + 1e-6
    grid = np.arange(bar.shape[1]) / bar.shape[1]
    y, x = (bar.sum(2) * grid).sum(1) / area, (bar.sum(1) * grid).sum(1) / area
    seen = area > area.max() / 20
    yy, xx = (bar.sum(2) * grid**2).sum(1) / area - y**2, (bar.sum(1) * grid**2).sum(1) / area - x**2
    trend = np.polyfit(np.flatnonzero(seen), y[seen], 1)[0]
    tilt = ((yy - xx) / (yy + xx + 1e-9))[seen]
    return [y[seen].std(), x[seen].std(), trend, np.log(area[seen]).std(), np.mean(~seen), tilt.std()]


def sound_features(samples):
    """Of two seconds at 16 kHz: the spectrum, how steady it is and where it goes."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, 512)[::256] * np.hanning(512)
    power = np.abs(np.fft.rfft(windows)) ** 2 + 1e-8
    edges = np.unique(np.geomspace(2, 256, 13).astype(int))
    bands = np.log(np.add.reduceat(power, edges, axis=1)[:, :-1])
    centre = (power * np.arange(257)).sum(1) / power.sum(1)
    shape = bands - bands.mean(1, keepdims=True)
    going = np.corrcoef(centre, np.arange(centre.size))[0, 1]
    return [*shape.mean(0), *bands.std(0), 3 * going]


def test_the_motion_alone_tells_the_class():
    features, labels = [], []
    for event, rng in events(160):
        times = 0.1 + np.arange(8) * 0.3
        features.append(motion_features(event_pictures.draw_event(event, times, 32, 32, rng)))
        labels.append(event.name)
    assert nearest_neighbour_accuracy(features, labels) > 0.85
    assert nearest_neighbour_accuracy(features, np.random.default_rng(0).permutation(labels)) < 0.3


def test_the_sound_alone_tells_the_class():
    features, labels = [], []
    for event, rng in events(160):
        features.append(sound_features(event_sounds.play_event(event, 16_000, rng)[:32_000]))
        labels.append(event.name)
    assert nearest_neighbour_accuracy(features, labels) > 0.85
    assert nearest_neighbour_accuracy(features, np.random.default_rng(0).permutation(labels)) < 0.3
