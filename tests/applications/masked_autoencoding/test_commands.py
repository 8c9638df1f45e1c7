"""A run on real clips from training to a report, with exact resume in between."""

import json

import av
import keras
import numpy as np
import pytest
from rich.console import Console

pytest.importorskip("tensorflow")

import soundfile

from tests.applications.training.resume import assert_resumes_exactly
from zorro_keras.applications.masked_autoencoding import commands
from zorro_keras.applications.masked_autoencoding.config import CONFIGS
from zorro_keras.applications.masked_autoencoding.data import evaluation_dataset, open_data
from zorro_keras.applications.pipelines.encode_mp4 import encode_mp4
from zorro_keras.applications.pipelines.faults import MediaError, TrainingError
from zorro_keras.applications.training.config import apply_overrides
from zorro_keras.applications.training.open_model import open_model
from zorro_keras.models import HiPBackbone

pytestmark = pytest.mark.slow

TASK = "masked_autoencoding"
# Each is checked together with those before it.
SETTINGS = [
    "data.geometry.num_frames=2", "data.geometry.height_px=8", "data.geometry.width_px=12",
    "data.geometry.seconds=0.64", "data.geometry.sample_rate_hz=1000", "data.flip_rate=0.5",
    "data.num_workers=1", "data.deadline_seconds=300", "model.video_patch=(1,4,4)",
    "model.samples_per_patch=40", "model.num_groups=(4,1,4)", "model.num_latents=(3,4,3)",
    "model.num_layers=(1,1,1)", "model.hidden_dim=(4,8,4)", "model.num_heads=(2,2,2)", "model.embed_dim=5",
    "model.mask_rate=0.6", "training.batch_size=3", "training.epochs=2", "training.validate_every_epochs=1",
]  # fmt: skip
CONFIG = apply_overrides(CONFIGS["tiny"], SETTINGS)
QUIET = Console(quiet=True)


def write_clip(path, number=0, has_sound=True):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(number)
    frames = rng.integers(0, 256, (12, 16, 24, 3), np.uint8)
    sound = 0.3 * np.sin(2 * np.pi * 50 * (number + 1) * np.arange(8000) / 8000, dtype=np.float32)[None]
    encode_mp4(str(path), frames, 12, sound if has_sound else None, 8000 if has_sound else None)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Shards of seven clips to train on and four to test, one of each without sound."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(11):
        path = folder / "clips" / ("train" if number < 7 else "test") / "any" / f"{number}.mp4"
        write_clip(path, number, has_sound=number not in (4, 8))
    commands.prepare(
        folder / "clips", folder / "shards", sample_rate_hz=1000, frame_rate_hz=8.0, shorter_side_px=12,
        num_workers=1, deadline_seconds=300.0,
    )  # fmt: skip
    return folder / "shards"


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """A run that was killed and went on: it must end as one that was not."""
    folder = tmp_path_factory.mktemp("runs")
    assert_resumes_exactly(TASK, CONFIG, data, folder)
    return folder / "broken"


def test_evaluation_compares_with_means(data, run, tmp_path):
    figures = commands.evaluate(run, data, out=tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["split"], report["num_clips"], report["mask_rate"]) == ("test", 4, 0.6)
    task, opened = open_model(run), open_data(data, CONFIG)
    mean = {}
    for split in ("train", "test"):
        batches = list(evaluation_dataset(opened, CONFIG, task.preprocessor, split=split)[0])
        batches = [keras.tree.map_structure(np.asarray, batch) for batch in batches]
        for name in ("audio", "video"):
            if split == "train":
                mean[name] = np.concatenate([x[name][x["presence"][name]] for x in batches]).mean(axis=0)
                continue
            errors = {"model": [], "training_mean": [], "visible_mean": []}
            for x in batches:
                clip = task.as_clip(keras.Model.predict_on_batch(task, x))
                made, hidden = (np.asarray(clip[kind][name]) for kind in ("reconstruction", "hidden"))
                for row in np.flatnonzero(x["presence"][name]):
                    true, dark = x[name][row], hidden[row]
                    shown = np.ma.array(true, mask=dark).reshape(-1, true.shape[-1] if true.ndim > 1 else 1)
                    shown_mean = np.broadcast_to(shown.mean(axis=0), true.shape if true.ndim > 1 else (1,))
                    for kind, answer in (
                        ("model", made[row]), ("training_mean", mean[name]), ("visible_mean", shown_mean)
                    ):  # fmt: skip
                        errors[kind].append(np.square(answer - true)[dark])
            scale = task.preprocessor.scales[name] ** 2
            assert report[name] == figures[name]
            assert figures[name]["num_clips"] == {"audio": 3, "video": 4}[name]
            for kind, error in figures[name]["mean_squared_error"].items():
                assert error == pytest.approx(scale * np.concatenate(errors[kind]).mean(), rel=1e-4), kind
    page = (tmp_path / "report.html").read_text()
    assert "mean of what is shown of the clip" in page and "data:image/png;base64," in page


def test_prediction_hides_and_tells_a_file_of_any_length(run, tmp_path):
    clip = write_clip(tmp_path / "clip.mp4")  # a second: two windows
    for number, folder in enumerate((run, run / "preset")):
        assert commands.predict(folder, clip, out=tmp_path / str(number), console=QUIET) == 0
    figures = [json.loads((tmp_path / name / "figures.json").read_text()) for name in "01"]
    assert figures[0] == figures[1] and figures[0]["num_windows"] == 2
    assert figures[0]["video"]["num_clips"] == 2
    assert figures[0]["video"]["mean_squared_error"]["training_mean"] is None
    with av.open(str(tmp_path / "0" / "comparison.png")) as picture:
        (frame,) = picture.decode(video=0)
    assert (frame.height, frame.width) == (3 * (96 + 4), 2 * (144 + 4))


def test_sound_alone_is_told_without_a_picture(run, tmp_path):
    soundfile.write(tmp_path / "sound.wav", 0.1 * np.sin(np.arange(8000) / 9), 8000)
    commands.predict(run, tmp_path / "sound.wav", out=tmp_path / "out", console=QUIET)
    figures = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert figures["video"] is None and figures["audio"]["mean_squared_error"]["model"] > 0
    assert not (tmp_path / "out" / "comparison.png").exists()
    (tmp_path / "text.mp4").write_text("no clip")
    with pytest.raises(MediaError):
        commands.predict(run, tmp_path / "text.mp4", out=tmp_path / "none", console=QUIET)
    assert not (tmp_path / "none").exists()


def test_an_answer_that_is_not_finite_is_no_figure(data, run, tmp_path, monkeypatch):
    def broken(folder):
        task = original(folder)
        task.task.backbone.parts.unembeddings["video"].bias.assign([np.nan] * 48)
        return task

    original = commands.open_run
    monkeypatch.setattr(commands, "open_run", broken)
    with pytest.raises(TrainingError, match="not finite"):
        commands.evaluate(run, data, out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_backbone_of_a_run_goes_on(run):
    trained, task = HiPBackbone.from_preset(str(run / "preset")), open_model(run)
    for ours, theirs in zip(trained.weights, task.backbone.weights, strict=True):
        np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(each) for each in (ours, theirs)))
