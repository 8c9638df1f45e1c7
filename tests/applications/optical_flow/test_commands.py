"""A run on real files from training to a report, with exact resume in between."""

import dataclasses
import io
import json

import numpy as np
import pytest
from rich.console import Console

from tests import flow_maker as made
from tests.applications.optical_flow.sizes import SETTINGS, SIZE
from tests.image_maker import write
from zorro_keras import metrics
from zorro_keras.applications import cli
from zorro_keras.applications.optical_flow import answers, commands
from zorro_keras.applications.optical_flow.config import CONFIGS
from zorro_keras.applications.optical_flow.evaluation import Evaluation
from zorro_keras.applications.optical_flow.model import build_model, start_weights
from zorro_keras.applications.optical_flow.tiled_flow import TiledFlow
from zorro_keras.applications.pipelines.accounted_reading import Reading
from zorro_keras.applications.pipelines.encode_mp4 import encode_mp4
from zorro_keras.applications.pipelines.faults import CheckpointError, ConfigError, MediaError, TrainingError
from zorro_keras.applications.pipelines.flow_files import read_flow
from zorro_keras.applications.pipelines.flow_pairs import read_frame, read_pair
from zorro_keras.applications.pipelines.flow_pictures import flow_colours
from zorro_keras.applications.pipelines.flow_sources import read_flow_source
from zorro_keras.applications.pipelines.media import probe
from zorro_keras.applications.pipelines.media_frames import video_frames
from zorro_keras.applications.training import checkpoint
from zorro_keras.applications.training.config import apply_overrides
from zorro_keras.applications.training.fit import train
from zorro_keras.applications.training.open_model import open_model

pytestmark = pytest.mark.slow

QUIET = Console(quiet=True)
CONFIG = apply_overrides(CONFIGS["tiny"], SETTINGS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = made.triples(tmp_path_factory.mktemp("pairs"), count=8, splits=("train", "test"))
    write(folder / "train" / "walk1_1.png", b"text")
    write(folder / "test" / "walk3_flow.flo", b"PIEH")
    return folder


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    train("optical_flow", CONFIG, str(folder), str(path), console=QUIET)
    return path


@pytest.fixture(scope="module")
def flow(run):
    return TiledFlow(open_model(run))


@pytest.mark.long
def test_a_run_that_was_stopped_ends_as_if_it_never_was(folder, run, tmp_path, monkeypatch):
    class StoppedError(Exception):
        pass

    whole, save = checkpoint.newest(run / "checkpoints"), checkpoint.save

    def save_and_stop(*arguments, **keywords):
        save(*arguments, **keywords)
        raise StoppedError

    monkeypatch.setattr(checkpoint, "save", save_and_stop)
    with pytest.raises(StoppedError):
        train("optical_flow", CONFIG, str(folder), str(tmp_path), console=QUIET)
    monkeypatch.setattr(checkpoint, "save", save)
    result = train("optical_flow", CONFIG, str(folder), str(tmp_path), console=QUIET)
    assert result["resumed_from_epoch"] == 1
    assert {"val_end_point_error", "val_zero_flow_error"} <= set(result["metrics"])
    resumed = checkpoint.newest(tmp_path / "checkpoints")
    assert resumed.step == whole.step == 4
    files = sorted(path.name for path in whole.path.glob("*.safetensors"))
    assert files and all(
        (whole.path / name).read_bytes() == (resumed.path / name).read_bytes() for name in files
    )


def test_evaluation_measures_whole_pairs_and_shows_the_worst(folder, run, flow, tmp_path):
    figures = commands.evaluate(run, folder, out=tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["num_pairs"], report["unusable_pairs"], report["split"]) == (7, ["test/walk3"], "test")
    pairs = [read_pair(e) for e in read_flow_source(folder).split("test") if e.id != "test/walk3"]
    answers = np.stack([flow(*pair.frames) for pair in pairs])
    true = np.stack([pair.flow for pair in pairs])
    assert figures["end_point_error"] == pytest.approx(metrics.end_point_error(true, answers), rel=1e-4)
    assert figures["fl_all"] == pytest.approx(metrics.fl_all(true, answers), abs=2e-3)
    assert figures["zero_flow_error"] == pytest.approx(np.linalg.norm(true, axis=-1).mean(), rel=1e-5)
    assert figures["mean_of_pairs"] == pytest.approx(figures["end_point_error"], rel=1e-6)  # of equal sizes
    assert report["regions"]["s0_10"]["pixels"] == report["regions"]["all"]["pixels"] == true.size // 2
    assert report["regions"]["s40_plus"] == {
        "pixels": 0, "end_point_error": None, "fl_all": None, "zero_flow_error": None
    }  # fmt: skip
    worst = [row["end_point_error"] for row in report["worst_pairs"]]
    assert worst == sorted(worst, reverse=True) and len(worst) == 7
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3 * 7 + 1 and "test/walk3" in page


def test_where_no_pair_can_be_read_the_advice_is_about_their_files(folder, flow):
    (broken,) = (entry for entry in read_flow_source(folder).split("test") if entry.id == "test/walk3")
    with pytest.raises(TrainingError, match="Not one pair of the split could be used") as error:
        Evaluation(flow).add_all([broken], Reading(str(folder), on_error="skip", max_bad_fraction=1.0))
    assert error.value.advice == "Mend the files that `faults.jsonl` in the folder of the run names."


def test_data_of_others_without_splits_are_measured_whole_and_by_what_is_seen(run, tmp_path):
    made.sintel(tmp_path / "sintel")
    with pytest.raises(ConfigError, match="they do not name what to measure on(?s:.*)--whole"):
        commands.evaluate(run, tmp_path / "sintel", out=tmp_path)
    figures = commands.evaluate(run, tmp_path / "sintel", out=tmp_path, whole=True)
    report = json.loads((tmp_path / "report.json").read_text())
    assert (figures["num_pairs"], report["split"], report["layout"]) == (8, "all", "sintel")
    regions = report["regions"]
    assert regions["all"]["pixels"] == 8 * made.HEIGHT * (made.WIDTH - 2)  # two columns are invalid
    assert regions["unmatched"]["pixels"] == 8 * made.HEIGHT  # and one more is hidden
    parts = [regions[name]["pixels"] * regions[name]["end_point_error"] for name in ("matched", "unmatched")]
    assert sum(parts) == pytest.approx(regions["all"]["pixels"] * regions["all"]["end_point_error"])


def printed(*arguments, **keywords):
    text = io.StringIO()
    assert commands.predict(*arguments, console=Console(file=text), **keywords) == 0
    return text.getvalue().split()


def test_two_pictures_become_flow_and_colours(folder, run, flow, tmp_path):
    first, second = folder / "test" / "walk0_1.png", folder / "test" / "walk0_2.png"
    files = printed(run, first, second=second, out=tmp_path)
    names = ["walk0_1.flo", "walk0_1_colours.png", "walk0_1_side_by_side.png"]
    assert files == [str(tmp_path / name) for name in names]
    field = read_flow(files[0])
    np.testing.assert_allclose(field.flow, flow(read_frame(first), read_frame(second)), atol=1e-4)
    colours = read_frame(files[1])
    np.testing.assert_array_equal(colours, flow_colours(field))
    np.testing.assert_array_equal(read_frame(files[2]), np.concatenate([read_frame(first), colours], axis=1))


def test_what_is_written_into_a_folder_of_pairs_is_not_taken_for_one(run, tmp_path):
    made.triples(tmp_path, count=2)
    printed(run, tmp_path / "walk0_1.png", second=tmp_path / "walk0_2.png", out=tmp_path)
    assert [entry.id for entry in read_flow_source(tmp_path).entries] == ["walk0", "walk1"]


@pytest.mark.parametrize("rate_hz", [0.25, 30000 / 1001, 10])
def test_a_film_is_as_fast_as_the_video(rate_hz, run, tmp_path):
    frames = np.stack([made.picture(number, 22, 26) for number in range(4)])
    encode_mp4(str(tmp_path / "clip.mp4"), frames, rate_hz, None, None)
    assert probe(tmp_path / "clip.mp4").frame_rate_hz == pytest.approx(rate_hz, rel=1e-6)
    files = printed(run, tmp_path / "clip.mp4", out=tmp_path / "out")
    assert probe(files[2]).frame_rate_hz == pytest.approx(rate_hz, rel=1e-6)


def test_a_film_of_no_rate_has_the_usual_one(run, tmp_path, monkeypatch):
    encode_mp4(str(tmp_path / "clip.mp4"), np.zeros((3, 16, 20, 3), "uint8"), 10, None, None)
    for rate_hz, expected in ((None, 25.0), (1e-6, 0.001)):
        info = dataclasses.replace(probe(tmp_path / "clip.mp4"), frame_rate_hz=rate_hz)
        with monkeypatch.context() as patch:
            patch.setattr(answers, "probe", lambda path, info=info: info)
            files = printed(run, tmp_path / "clip.mp4", out=tmp_path / "out")
        assert probe(files[2]).frame_rate_hz == pytest.approx(expected)


def test_a_video_becomes_flow_from_each_frame_to_the_next(run, flow, tmp_path):
    frames = np.stack([made.picture(number, 22, 26) // 2 + 20 * number for number in range(4)]).astype(
        np.uint8
    )
    encode_mp4(str(tmp_path / "clip.mp4"), frames, 10, None, None)
    files = printed(run / "preset", tmp_path / "clip.mp4", out=tmp_path / "out")
    assert files == [str(tmp_path / "out" / name) for name in ("flow", "colours", "clip_side_by_side.mp4")]
    seen = list(video_frames(tmp_path / "clip.mp4"))
    assert sorted(path.name for path in (tmp_path / "out/flow").iterdir()) == [
        f"{n:06d}.flo" for n in range(3)
    ]
    for number in range(3):
        found = read_flow(tmp_path / f"out/flow/{number:06d}.flo")
        np.testing.assert_allclose(found.flow, flow(seen[number], seen[number + 1]), atol=1e-4)
    film = list(video_frames(files[2]))
    assert len(film) == 3 and film[0].shape == (22, 52, 3)
    assert np.abs(film[1][:, :26].astype(float) - seen[1]).mean() < 12


def test_the_command_line_takes_two_pictures_for_flow_only(folder, run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [str(folder / "test" / f"walk0_{number}.png") for number in (1, 2)]
    assert cli.main(["predict", str(run), *names, "--max-megabytes", "20"]) == 0
    assert (
        "flow_of_walk0_1" in capsys.readouterr().out and (tmp_path / "flow_of_walk0_1/walk0_1.flo").exists()
    )
    assert cli.main(["predict", str(run), *names, "--top", "3"]) == 2
    assert "`--top` means nothing to `optical_flow`" in capsys.readouterr().err
    assert cli.main(["predict", str(run), *names, "--max-megabytes", "0.001"]) == 2
    assert "`max_megabytes` must be at least" in capsys.readouterr().err
    words = ["evaluate", str(run), "--data", str(folder), "--out", str(tmp_path)]
    assert cli.main([*words, "--max-megabytes", "20"]) == 0
    assert cli.main([*words, "--max-megabytes", "0.001"]) == 2
    assert "`max_megabytes` must be at least" in capsys.readouterr().err


def test_the_released_grid_can_be_asked_for(folder, run, tmp_path, capsys):
    # Tiles of 16 x 20 px go in steps of 8 and 12: 31 columns have an even grid and no released one.
    whole, odd = [], []
    for number in (0, 1):
        whole.append(str(write(tmp_path / f"whole{number}.png", made.png(made.picture(number, 40, 44)))))
        odd.append(str(write(tmp_path / f"odd{number}.png", made.png(made.picture(number, 40, 31)))))
    assert cli.main(["predict", str(run), *whole, "--out", str(tmp_path / "a"), "--grid", "released"]) == 0
    expected = TiledFlow(open_model(run), grid="released")(*map(read_frame, whole))
    np.testing.assert_allclose(read_flow(tmp_path / "a/whole0.flo").flow, expected, atol=1e-4)
    assert cli.main(["predict", str(run), *odd, "--out", str(tmp_path / "b")]) == 0
    capsys.readouterr()
    assert cli.main(["predict", str(run), *odd, "--out", str(tmp_path / "c"), "--grid", "released"]) == 2
    said = capsys.readouterr().err
    assert "beyond a picture of 31 pixels" in said and "--grid even" in said and not (tmp_path / "c").exists()
    # The pairs of the run are of 19 x 23 px, which has none.
    words = ["evaluate", str(run), "--data", str(folder), "--out", str(tmp_path / "d")]
    assert cli.main([*words, "--grid", "even"]) == 0
    assert cli.main([*words, "--grid", "released"]) == 2
    assert "beyond a picture of" in capsys.readouterr().err


def test_training_starts_from_a_preset_whole(run):
    config = apply_overrides(CONFIG, [f"model.pretrained={run / 'preset'}"])
    started, source = build_model(config), open_model(run / "preset")
    report = start_weights(started, config)
    assert not report.fresh and "head flow" in report.copied
    for mine, other in zip(started.backbone.weights, source.backbone.weights, strict=True):
        np.testing.assert_array_equal(mine, other)
    for change, message in (
        ("model.num_latents=5", "set by `model.num_latents`"),
        ("data.flow_scale=10", "its `flow_scale` is 20.0, not 10.0, set by `data.flow_scale`"),
    ):
        other = apply_overrides(config, [change])
        with pytest.raises(CheckpointError, match=message):
            start_weights(build_model(other), other)
    assert start_weights(started, CONFIG) is None


def test_what_cannot_be_answered_is_said(folder, run, tmp_path):
    first = folder / "test" / "walk0_1.png"
    small = write(tmp_path / "small.png", made.png(made.picture(0, *SIZE)))
    with pytest.raises(MediaError, match="The second frame has 20 x 16 px, the first frame 23 x 19"):
        commands.predict(run, first, second=small, out=tmp_path)
    with pytest.raises(MediaError, match="no such file"):
        commands.predict(run, first, second=tmp_path / "none.png", out=tmp_path)
    with pytest.raises(ConfigError, match="A second picture is needed: `predict RUN a.png b.png`"):
        commands.predict(run, first, out=tmp_path)
    with pytest.raises(ConfigError, match="A second picture is needed"):  # told by content
        commands.predict(run, write(tmp_path / "picture.mp4", first.read_bytes()), out=tmp_path)
    encode_mp4(str(tmp_path / "one.mp4"), made.picture(0, 22, 26)[None], 10, None, None)
    with pytest.raises(MediaError, match="a single frame: there is no motion to see"):
        commands.predict(run, tmp_path / "one.mp4", out=tmp_path)
    with pytest.raises(ConfigError, match=f"preset of a run(?s:.*)Give the run: {run}"):
        commands.evaluate(run / "preset", folder)


def test_no_folder_is_made_for_nothing_nor_over_a_file(folder, run, tmp_path):
    encode_mp4(str(tmp_path / "one.mp4"), made.picture(0, 22, 26)[None], 10, None, None)
    encode_mp4(str(tmp_path / "two.mp4"), np.zeros((2, 22, 26, 3), "uint8"), 10, None, None)
    first, second = folder / "test" / "walk0_1.png", folder / "test" / "walk0_2.png"
    for source, other in (
        (tmp_path / "none.mp4", None), (tmp_path / "one.mp4", None), (first, tmp_path / "none.png")
    ):  # fmt: skip
        with pytest.raises(MediaError):
            commands.predict(run, source, second=other, out=tmp_path / "out")
        assert not (tmp_path / "out").exists()
    file = write(tmp_path / "file", b"mine")
    for source, other in ((tmp_path / "two.mp4", None), (first, second)):
        with pytest.raises(ConfigError, match="The output folder cannot be made: ") as caught:
            commands.predict(run, source, second=other, out=file)
        assert caught.value.reason == "not_writable" and file.read_bytes() == b"mine"
