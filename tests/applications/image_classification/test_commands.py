"""A run on real pictures from training to a report, with exact resume in between."""

import io
import json
import shutil

import numpy as np
import pytest
from rich.console import Console

from tests.image_maker import class_folders, encoded, pixels, write
from zorro_keras.applications.image_classification import commands
from zorro_keras.applications.image_classification.config import CONFIGS
from zorro_keras.applications.image_classification.model import build_model, start_weights
from zorro_keras.applications.pipelines.faults import CheckpointError, ConfigError, MediaError, SourceError
from zorro_keras.applications.training import checkpoint
from zorro_keras.applications.training.config import apply_overrides
from zorro_keras.applications.training.fit import train
from zorro_keras.applications.training.open_model import open_model

pytestmark = pytest.mark.slow

SETTINGS = [
    "data.size_px=16",
    "data.on_error=skip",
    "data.max_bad_fraction=0.2",
    "data.augmentation.rand_augment_layers=1",
    "data.augmentation.mixup_alpha=0.2",
    "data.augmentation.cutmix=true",
    "model.num_bands=2",
    "model.num_latents=4",
    "model.latent_dim=16",
    "model.num_layers=1",
    "training.batch_size=4",
    "training.epochs=2",
    "training.label_smoothing=0.1",
]
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = class_folders(tmp_path_factory.mktemp("pictures"), count=6)
    write(folder / "train" / "ant" / "1.png", encoded("PNG")[:50])
    write(folder / "test" / "cow" / "3.png", b"")
    return folder


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    train(
        "image_classification",
        apply_overrides(CONFIGS["tiny"], SETTINGS),
        str(folder),
        str(path),
        console=QUIET,
    )
    return path


@pytest.mark.long
def test_a_run_that_was_stopped_ends_as_if_it_never_was(folder, run, tmp_path, monkeypatch):
    config = apply_overrides(CONFIGS["tiny"], SETTINGS)
    whole = checkpoint.newest(run / "checkpoints")

    class StoppedError(Exception):
        pass

    save = checkpoint.save

    def save_and_stop(*arguments, **keywords):
        save(*arguments, **keywords)
        raise StoppedError

    monkeypatch.setattr(checkpoint, "save", save_and_stop)
    with pytest.raises(StoppedError):
        train("image_classification", config, str(folder), str(tmp_path), console=QUIET)
    monkeypatch.setattr(checkpoint, "save", save)
    result = train("image_classification", config, str(folder), str(tmp_path), console=QUIET)
    assert result["resumed_from_epoch"] == 1
    resumed = checkpoint.newest(tmp_path / "checkpoints")
    assert resumed.step == whole.step == 8
    files = sorted(path.name for path in whole.path.glob("*.safetensors"))
    assert files and all(
        (whole.path / name).read_bytes() == (resumed.path / name).read_bytes() for name in files
    )


def test_evaluation_writes_figures_confusion_and_the_worst_pictures(folder, run, tmp_path):
    figures = commands.evaluate(run, folder, out=tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert figures["num_images"] == report["num_images"] == 17
    assert report["unusable_images"] == ["test/cow/3.png"]
    assert report["top1_accuracy"] == figures["top1_accuracy"] <= report["top5_accuracy"] == 1.0
    confusion = np.array(report["confusion"])
    assert confusion.sum(1).tolist() == [6, 6, 5] and np.trace(confusion) / 17 == report["top1_accuracy"]
    worst = [row["true_probability"] for row in report["worst_images"]]
    assert worst == sorted(worst) and len(worst) == 17
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 17 and "data:image/svg+xml" in page
    assert "test/cow/3.png" in page


def printed(*arguments, **keywords):
    text = io.StringIO()
    code = commands.predict(*arguments, console=Console(width=200, file=text), **keywords)
    return code, text.getvalue()


def test_a_picture_and_a_folder_of_pictures_are_named(folder, run):
    code, text = printed(run, folder / "test" / "bee" / "0.jpg", top=3)
    assert code == 0 and "0.jpg" in text
    assert all(name in text for name in ("ant", "bee", "cow"))
    code, text = printed(run, folder / "test", top=1)
    assert code == 0 and "zero_length: The file is empty." in text
    assert text.count("%") == 17


def test_a_picture_is_answered_the_same_alone_and_among_others(folder, run):
    _, alone = printed(run, folder / "test" / "bee" / "0.jpg", top=3)
    _, among = printed(run, folder / "test", top=3)
    answer = next(line for line in alone.splitlines() if "0.jpg" in line).split("│")[2:]
    row = next(line for line in among.splitlines() if "bee/0.jpg" in line).split("│")[2:]
    assert [cell.strip() for cell in answer] == [cell.strip() for cell in row]


def test_a_preset_answers_and_is_measured_as_its_run(folder, run, tmp_path):
    _, by_run = printed(run, folder / "test" / "bee")
    _, by_preset = printed(run / "preset", folder / "test" / "bee")
    assert by_run == by_preset
    with pytest.raises(ConfigError, match=f"preset of a run(?s:.*)Give the run: {run}"):
        commands.evaluate(run / "preset", folder)  # which does not know what was held out
    preset = shutil.copytree(run / "preset", tmp_path / "preset")
    by_run, by_preset = (
        commands.evaluate(each, folder, out=tmp_path / "of" / each.name) for each in (run, preset)
    )
    assert by_run["num_images"] == by_preset["num_images"] == 17
    assert by_run["top1_accuracy"] == by_preset["top1_accuracy"]


def test_training_starts_from_a_preset_but_for_the_last_layer(run):
    config = apply_overrides(CONFIGS["tiny"], [*SETTINGS, f"model.pretrained={run / 'preset'}"])
    names = ["ant", "bee", "cow", "dog"]  # other classes than those of the preset
    started, source = build_model(config, names), open_model(run / "preset")
    fresh = [np.array(weight) for weight in started.backbone.output_adapters["label"].head.weights]
    report = start_weights(started, config)
    assert list(report.fresh) == ["head label"] and "encoder" in report.copied
    for part in ("encoder", "decoder"):
        ours, theirs = (getattr(model.backbone, part).weights for model in (started, source))
        for mine, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(mine, other)
    for mine, before in zip(started.backbone.output_adapters["label"].head.weights, fresh, strict=True):
        np.testing.assert_array_equal(mine, before)
    other = apply_overrides(config, ["model.num_latents=5"])
    with pytest.raises(CheckpointError, match="set by `model.num_latents`"):
        start_weights(build_model(other, names), other)
    assert start_weights(started, CONFIGS["tiny"]) is None


def test_what_cannot_be_answered_is_said(folder, run, tmp_path):
    with pytest.raises(MediaError, match="The file is empty"):
        commands.predict(run, folder / "test" / "cow" / "3.png")
    with pytest.raises(SourceError, match="must be a picture or a folder"):
        commands.predict(run, tmp_path / "nothing.png")
    with pytest.raises(SourceError, match="holds no pictures"):
        commands.predict(run, tmp_path)
    with pytest.raises(ValueError, match="`top` must be positive"):
        commands.predict(run, tmp_path, top=0)
    write(tmp_path / "bad" / "a.png", encoded("PNG", pixels(1, 1)))
    write(tmp_path / "bad" / "b.png", b"text")
    code, text = printed(run, tmp_path / "bad")
    assert code == 3 and "too_small" in text and "not_image" in text
