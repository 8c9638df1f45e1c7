"""A run on real clips from training to rebuilt files and a report, with exact resume in between."""

import itertools
import json
import weakref

import keras
import numpy as np
import pytest
from rich.console import Console

pytest.importorskip("tensorflow")

import av
import soundfile

from tests.applications.training.resume import state_of
from zorro_keras import metrics
from zorro_keras.applications.pipelines.encode_mp4 import encode_mp4
from zorro_keras.applications.pipelines.faults import (
    CheckpointError,
    ConfigError,
    MediaError,
    TrainingError,
)
from zorro_keras.applications.pipelines.media import Window, decode_window, probe
from zorro_keras.applications.training import checkpoint
from zorro_keras.applications.training.config import apply_overrides
from zorro_keras.applications.training.fit import train
from zorro_keras.applications.training.open_model import open_model
from zorro_keras.applications.video_autoencoding import commands, rebuild
from zorro_keras.applications.video_autoencoding.config import CONFIGS
from zorro_keras.applications.video_autoencoding.data import evaluation_dataset, open_data
from zorro_keras.applications.video_autoencoding.model import build_model, start_weights
from zorro_keras.applications.video_autoencoding.scores import ClipScores

pytestmark = pytest.mark.slow

TASK = "video_autoencoding"
# Each is checked together with those before it.
SETTINGS = [
    "data.audio_points=5", "data.image_points=13", "model.video_patch=(2,4,4)", "model.samples_per_patch=16",
    "data.geometry.num_frames=4", "data.geometry.height_px=8", "data.geometry.width_px=12",
    "data.geometry.seconds=0.64", "data.geometry.sample_rate_hz=1000", "data.flip_rate=0.5",
    "data.num_workers=1", "data.deadline_seconds=300", "model.num_bands=2", "model.num_audio_bands=3",
    "model.num_latents=5", "model.latent_dim=8", "model.num_layers=1", "model.num_heads=2",
    "model.label_query_dim=7", "model.output_dim=8", "model.points_per_chunk=100", "training.batch_size=3",
    "training.epochs=2",
]  # fmt: skip
CONFIG = apply_overrides(CONFIGS["tiny"], SETTINGS)
LABELS = ("bell", "drum", "horn")
QUIET = Console(quiet=True)


def write_clip(path, number=0, seconds=1.0, has_sound=True):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(number)
    frames = rng.integers(0, 256, (round(12 * seconds), 16, 24, 3), np.uint8)
    times = np.arange(round(8000 * seconds)) / 8000
    sound = 0.3 * np.sin(2 * np.pi * 50 * (number + 1) * times, dtype=np.float32)[None]
    encode_mp4(str(path), frames, 12, sound if has_sound else None, 8000 if has_sound else None)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Shards of nine clips to train on and five to test, one of each without sound."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(14):
        split = "train" if number < 9 else "test"
        path = folder / "clips" / split / LABELS[number % 3] / f"{number}.mp4"
        write_clip(path, number, has_sound=number not in (4, 10))
    commands.prepare(
        folder / "clips", folder / "shards", sample_rate_hz=1000, frame_rate_hz=8.0, shorter_side_px=12,
        num_workers=1, deadline_seconds=300.0,
    )  # fmt: skip
    return folder / "shards"


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    train(TASK, CONFIG, str(data), str(path), console=QUIET)
    return path


@pytest.mark.long
def test_a_run_that_was_stopped_ends_as_if_it_never_was(data, run, tmp_path, monkeypatch):
    class StoppedError(Exception):
        pass

    save = checkpoint.save

    def save_and_stop(*arguments, **keywords):
        save(*arguments, **keywords)
        raise StoppedError

    with monkeypatch.context() as patch, pytest.raises(StoppedError):
        patch.setattr(checkpoint, "save", save_and_stop)
        train(TASK, CONFIG, str(data), str(tmp_path), console=QUIET)
    assert train(TASK, CONFIG, str(data), str(tmp_path), console=QUIET)["resumed_from_epoch"] == 1
    assert state_of(tmp_path) == state_of(run)


def test_evaluation_compares_with_mean_frames_and_silence(data, run, tmp_path):
    figures = commands.evaluate(run, data, out=tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["split"] == "test" and figures["num_clips"] == report["num_clips"] == 5
    assert (report["video"]["num_clips"], report["audio"]["num_clips"]) == (5, 4)
    task = open_model(run)
    opened = open_data(data, CONFIG)
    held_out, training = (
        _joined(evaluation_dataset(opened, CONFIG, task.preprocessor, split=split, whole=True)[0])
        for split in ("test", "train")
    )
    mean_frame = training["image"].mean(axis=(0, 1))
    image = held_out["image"]
    outputs = task.as_clip(keras.Model.predict(task, held_out, verbose=0))
    made = {name: keras.ops.convert_to_numpy(values) for name, values in outputs.items()}
    expected = {
        "model": made["image"],
        "mean_frame": np.broadcast_to(mean_frame, image.shape),
        "own_mean_frame": np.broadcast_to(image.mean(axis=1, keepdims=True), image.shape),
    }
    for kind, rebuilt in expected.items():
        psnr = metrics.peak_signal_to_noise_ratio(image, rebuilt)
        assert report["video"]["psnr_db"][kind] == pytest.approx(psnr, abs=1e-3), kind
    has, sound = held_out["presence"]["audio"], held_out["audio"]
    for kind, rebuilt in (("model", made["audio"]), ("silence", 0 * sound)):
        psnr = metrics.peak_signal_to_noise_ratio(sound[has], rebuilt[has])
        assert report["audio"]["psnr_db"][kind] == pytest.approx(psnr, abs=1e-3), kind
    _, ids = evaluation_dataset(opened, CONFIG, task.preprocessor)
    for name in LABELS:
        heard = has & np.array([f"/{name}/" in path for path in ids])
        found = report["audio"]["by_class"][name]
        assert found["num_clips"] == heard.sum() > 0
        for kind, rebuilt in (("model", made["audio"]), ("silence", 0 * sound)):
            psnr = metrics.decibels(np.square(sound - rebuilt)[heard].mean())
            assert found["pooled_psnr_db"][kind] == pytest.approx(psnr, abs=1e-3)
    assert 0 <= report["label"]["top1_accuracy"] <= report["label"]["top5_accuracy"] == 1.0
    page = (tmp_path / "report.html").read_text()
    assert "each clip's own mean frame" in page and "data:image/png;base64," in page
    assert page.count("PSNR of the mean error of each class") == 2 and "<td>drum</td>" in page


def test_clips_without_a_training_split_are_measured_without_its_mean_frame(run, tmp_path):
    for number in range(3):
        write_clip(tmp_path / "clips" / "val" / LABELS[number] / "0.mp4", number)
    figures = commands.evaluate(run, tmp_path / "clips", out=tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["split"], report["num_clips"]) == ("val", 3) and report["video"] == figures["video"]
    for psnr in (report["video"]["psnr_db"], report["video"]["pooled_psnr_db"]):
        assert psnr["mean_frame"] is None and psnr["own_mean_frame"] > psnr["model"] > 0
    assert (
        "<td>mean frame of the training clips</td><td>\N{EN DASH}</td>"
        in (tmp_path / "report.html").read_text()
    )


def test_clips_of_sound_alone_are_measured(run, tmp_path):
    for split, number in itertools.product(("train", "test"), range(2)):
        path = tmp_path / "clips" / split / LABELS[number] / "0.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, 0.1 * np.sin(np.arange(8000) / (9 + number)), 8000)
    commands.evaluate(run, tmp_path / "clips", out=tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["video"] is None and report["audio"]["num_clips"] == 2
    assert set(report["audio"]["psnr_db"]) == {"model", "silence"}


def test_advice_about_a_split_or_a_model_is_about_them(run):
    task = open_model(run)
    clip, rng = CONFIG.data.geometry, np.random.default_rng(0)
    x = {
        "audio": rng.uniform(-1, 1, (2, clip.num_samples)).astype("float32"),
        "image": rng.uniform(0, 1, (2, clip.num_frames, clip.height_px, clip.width_px, 3)).astype("float32"),
        "presence": {"audio": np.ones(2, bool), "image": np.ones(2, bool)},
    }
    for spoilt, weight, advice in (
        (x, np.zeros(2), "Mend the files that `faults.jsonl` in the folder of the run names."),
        (
            {**x, "audio": np.full_like(x["audio"], np.nan)},
            np.ones(2),
            "Check that the training ended well, and that what was read is sound.",
        ),
    ):
        scores = ClipScores(task, None)
        scores.add(spoilt, np.eye(3)[:2], weight)
        with pytest.raises(TrainingError) as error:
            scores.figures(2)
        assert error.value.advice == advice


def _joined(batches):
    """The clips of a data set that count, as arrays."""
    parts = [
        keras.tree.map_structure(lambda values, weight=weight: values[weight > 0], x)
        for x, _, weight in batches.as_numpy_iterator()
    ]
    return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)


def window_shares(source):
    """How much of each window of a file lies within it."""
    duration = probe(source).duration_seconds
    starts = np.arange(0, duration - 1e-3, 0.64)
    return np.minimum((duration - starts) / 0.64, 1.0)


def predict(folder, source, out):
    assert commands.predict(folder, source, out=out, top=2, console=QUIET) == 0
    return json.loads((out / "figures.json").read_text())


def test_a_clip_of_any_length_is_rebuilt_with_sound(run, tmp_path):
    source = write_clip(tmp_path / "long.mp4", seconds=1.5)
    figures = predict(run, source, tmp_path / "out")
    shares = window_shares(source)
    assert figures["num_windows"] == len(shares) == 3 and shares[-1] < 0.5  # the last one is cut
    assert len(figures["classes"]) == 2 and {row["label"] for row in figures["classes"]} <= {*LABELS}
    with av.open(str(tmp_path / "out" / "rebuilt.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert container.streams.video[0].average_rate == 6.25 and frames[0].shape == (8, 12, 3)
        assert len(frames) == sum(round(4 * share) for share in shares)
        assert float(container.streams.audio[0].duration * container.streams.audio[0].time_base) >= 1.4
    import tensorflow as tf

    strip = tf.io.decode_png((tmp_path / "out" / "comparison.png").read_bytes()).numpy()
    assert strip.shape == (2 * (96 + 4), 8 * (144 + 4), 3)  # twelve times as large, with gaps


def test_the_figures_are_those_of_the_windows(run, tmp_path):
    source = write_clip(tmp_path / "clip.mp4", seconds=1.1)
    figures = predict(run, source, tmp_path / "out")
    task, errors = open_model(run), {"audio": [], "video": []}
    for number, share in enumerate(window_shares(source)):
        window = decode_window(source, CONFIG.data.geometry, start_seconds=0.64 * number)
        raw = {"audio": window.audio[None], "video": window.video[None]}
        outputs = task.as_clip(task.predict(raw, verbose=0))
        for name, key, true in (("audio", "audio", window.audio), ("video", "image", window.video / 255)):
            kept = round(share * len(true))
            error = keras.ops.convert_to_numpy(outputs[key])[0, :kept] - true[:kept]
            errors[name].append(np.square(error).ravel())
    for name, values in errors.items():
        psnr = metrics.decibels(np.concatenate(values).mean())
        assert figures["psnr_db"][name] == pytest.approx(psnr, abs=0.01)


def test_a_preset_rebuilds_as_its_run_does(run, tmp_path):
    source = write_clip(tmp_path / "clip.mp4")
    assert predict(run, source, tmp_path / "a") == predict(run / "preset", source, tmp_path / "b")


def test_a_clip_without_sound_or_pictures_is_rebuilt_and_half_measured(run, tmp_path):
    silent = write_clip(tmp_path / "silent.mp4", has_sound=False)
    assert list(predict(run, silent, tmp_path / "a")["psnr_db"]) == ["video"]
    soundfile.write(tmp_path / "sound.wav", 0.1 * np.sin(np.arange(8000) / 9), 8000)
    assert list(predict(run, tmp_path / "sound.wav", tmp_path / "b")["psnr_db"]) == ["audio"]
    for name in ("a", "b"):
        with av.open(str(tmp_path / name / "rebuilt.mp4")) as container:
            assert container.streams.video and container.streams.audio


def test_a_long_file_is_rebuilt_in_constant_memory(run, tmp_path, monkeypatch):
    task, clip, alive, most = open_model(run), CONFIG.data.geometry, [], []

    class Pixels(np.ndarray):
        pass

    def windows(*args, **options):
        for number in range(12):
            frames = np.full((clip.num_frames, clip.height_px, clip.width_px, 3), 7, np.uint8).view(Pixels)
            alive.append(weakref.ref(frames))
            most.append(sum(reference() is not None for reference in alive))
            yield Window(np.zeros(clip.num_samples, np.float32), frames, number * clip.seconds)

    monkeypatch.setattr(rebuild, "iterate_windows", windows)
    monkeypatch.setattr(rebuild, "_shown_frames", lambda *_: {})
    source = write_clip(tmp_path / "clip.mp4", seconds=12 * 0.64)
    assert rebuild.rebuild(task, source, tmp_path / "out.mp4").num_windows == 12
    assert max(most) <= 3


def test_training_starts_from_a_preset_of_the_same_sizes(run):
    config = apply_overrides(CONFIG, [f"model.pretrained={run / 'preset'}"])
    source = open_model(run)
    for names, fresh in ((LABELS, []), (("bell", "drum", "oboe"), ["head label"])):
        started = build_model(config, names)
        report = start_weights(started, config)
        assert list(report.fresh) == fresh and "encoder" in report.copied and "head image" in report.copied
        for part in ("encoder", "decoder"):
            ours, theirs = (getattr(model.backbone, part).weights for model in (started, source))
            assert all(np.array_equal(np.array(a), np.array(b)) for a, b in zip(ours, theirs, strict=True))
    other = apply_overrides(config, ["model.num_latents=6"])
    with pytest.raises(CheckpointError, match="set by `model.num_latents`"):
        start_weights(build_model(other, LABELS), other)
    assert start_weights(started, CONFIG) is None


def test_what_cannot_be_rebuilt_is_said(run, tmp_path):
    (tmp_path / "text.mp4").write_text("no clip")
    with pytest.raises(MediaError):
        commands.predict(run, tmp_path / "text.mp4", out=tmp_path / "out", console=QUIET)
    assert not (tmp_path / "out").exists()
    file = tmp_path / "file"
    file.write_text("mine")
    clip = write_clip(tmp_path / "clip.mp4")
    with pytest.raises(ConfigError, match="The output folder cannot be made: ") as caught:
        commands.predict(run, clip, out=file, console=QUIET)
    assert caught.value.reason == "not_writable" and file.read_text() == "mine"
    with pytest.raises(ValueError, match="`top` must be positive. Received: top=0"):
        commands.predict(run, tmp_path / "text.mp4", top=0)
