"""The modality report: what is measured, on which clips, and how it is shown."""

import json
import re
import shutil

import keras
import numpy as np
import pytest

from tests.rounding import rounding_bounds

pytest.importorskip("tensorflow")

from zorro_keras.applications.pipelines.faults import ConfigError, TrainingError
from zorro_keras.applications.training.modality_figures import main_head, modality_figures
from zorro_keras.applications.training.report import evaluate_run
from zorro_keras.applications.training.report_page import report_page
from zorro_keras.applications.training.run import open_run
from zorro_keras.applications.training.subset_scores import SubsetScores, score_subsets

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

AUDIO, VIDEO, BOTH = ("audio",), ("video",), ("audio", "video")


@pytest.fixture(scope="module")
def task(small_run):
    return open_run(small_run).task


SIZE = 5  # one batch size, so that the model is compiled once


def batch_of(task, rng, size=SIZE, num_classes=8):
    x = {
        name: rng.normal(size=(size, *stream.shape)).astype("float32")
        for name, stream in task.backbone.streams.items()
    }
    x["presence"] = {name: np.ones(size, bool) for name in task.backbone.streams}
    return (
        x,
        np.eye(num_classes, dtype="float32")[rng.integers(num_classes, size=size)],
        np.ones(size, "float32"),
    )


@pytest.mark.slow
def test_audio_only_takes_the_video_away_from_the_model(task):
    rng = np.random.default_rng(0)
    x, y, weight = batch_of(task, rng)
    spoiled = {**x, "video": np.full_like(x["video"], np.nan)}
    other = {**x, "video": rng.normal(size=x["video"].shape).astype("float32")}
    ids = list("abcde")

    def logits(inputs, subset):
        return score_subsets(task, [(inputs, y, weight)], ids, [subset]).logits[subset]

    expected = logits(x, AUDIO)
    assert set(expected) == {"audio", "fusion", "global"}
    for head, values in logits(spoiled, AUDIO).items():
        np.testing.assert_array_equal(values, expected[head])
    assert np.abs(logits(other, BOTH)["fusion"] - logits(x, BOTH)["fusion"]).max() > 1e-3


def test_windows_of_a_clip_are_averaged_and_rows_without_weight_do_not_count(task):
    rng = np.random.default_rng(1)
    (x, y, weight), ids = batch_of(task, rng), ["a", "a", "b", "b", "c"]
    weight[3:] = 0.0
    scores = score_subsets(task, [(x, y, weight)], ids, [BOTH])
    alone = keras.Model.predict_on_batch(task, x)
    assert scores.ids == ("a", "b") and scores.unusable_ids == ("c",)
    for head, logits in scores.logits[BOTH].items():
        np.testing.assert_allclose(logits[0], alone[head][:2].mean(axis=0), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(logits[1], alone[head][2], rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(scores.labels, y[[1, 2]])


def test_a_clip_without_the_stream_asked_for_still_counts(task):
    """It is answered from nothing: the same for every such clip, whatever their arrays hold.

    In one place of a batch that is so bit for bit. From place to place it is so up to rounding, since a
    processor may take the last rows of a batch through other instructions than the first.
    """
    x, y, weight = batch_of(task, np.random.default_rng(2))
    x["presence"]["audio"] = np.array([True, False, False, True, True])
    other = {**x, "audio": np.where(x["presence"]["audio"][:, None, None], x["audio"], 7.0)}

    def logits(inputs):
        scores = score_subsets(task, [(inputs, y, weight)], list("abcde"), [AUDIO])
        assert len(scores.ids) == SIZE
        return scores.logits[AUDIO]

    found, again = logits(x), logits(other)
    audio = {"audio": x["audio"]}
    bounds = rounding_bounds(lambda inputs: logits({**x, **inputs}), task.trainable_variables, audio, draws=4)
    for head, values in found.items():
        np.testing.assert_array_equal(values, again[head])
        np.testing.assert_allclose(values[1], values[2], rtol=0, atol=bounds[head])
        assert np.abs(values[0] - values[3]).max() > max(1e-3, 100 * bounds[head])


def test_an_answer_that_is_not_finite_names_the_clip(task):
    x, y, weight = batch_of(task, np.random.default_rng(3))
    x["audio"][1] = np.nan
    with pytest.raises(TrainingError, match="not finite from audio") as caught:
        score_subsets(task, [(x, y, weight)], list("abcde"), [AUDIO])
    assert caught.value.row == "b"
    x["audio"][1] = 0.0
    assert len(score_subsets(task, [(x, y, weight)], list("abcde"), [AUDIO]).ids) == SIZE


def made_up_scores():
    """Six clips of three classes: audio knows the first four, video the last four, both all but one."""
    labels = np.eye(3, dtype="float32")[[0, 0, 1, 1, 2, 2]]
    wrong = np.roll(labels, 1, axis=1)
    rows = np.arange(6)[:, None]
    audio, video, both = (4.0 * np.where(known, labels, wrong) for known in (rows < 4, rows > 1, rows != 4))
    presence = {"audio": np.array([True] * 5 + [False]), "video": np.ones(6, bool)}
    logits = {
        AUDIO: {"audio": audio, "fusion": audio},
        VIDEO: {"video": video, "fusion": video},
        BOTH: {"audio": audio, "video": video, "fusion": both},
    }
    return SubsetScores(tuple(f"clip-{i}" for i in range(6)), labels, presence, logits, ("lost",))


def report_of(scores, label_names, multi_label=False):
    return {
        "run": "runs/one",
        "data": "shards",
        "backend": "jax",
        "label_names": label_names,
        "multi_label": multi_label,
        "streams": ["audio", "video"],
        "num_clips": len(scores.ids),
        "unusable_clips": list(scores.unusable_ids),
        **modality_figures(scores, label_names, multi_label=multi_label),
    }


def test_figures_agree_with_a_count_by_hand():
    figures = modality_figures(made_up_scores(), ["x", "y", "z"], multi_label=False)
    accuracy = {name: round(main["accuracy"] * 6) for name, main in figures["main"].items()}
    assert accuracy == {"audio": 4, "video": 4, "audio+video": 5}
    assert [row["gain"] for row in figures["classes"]] == [0.0, 0.0, -0.5]
    assert [row["scores"]["audio"] for row in figures["classes"]] == [1.0, 1.0, 0.0]
    assert figures["confusion"]["audio"] == [[2, 0, 0], [0, 2, 0], [2, 0, 0]]
    worst = figures["worst_clips"][0]
    assert (worst["id"], worst["true"], worst["predicted"]) == ("clip-4", ["z"], "x")
    assert [(group["has"], group["num_clips"]) for group in figures["presence"]] == [
        ("audio+video", 5),
        ("video", 1),
    ]


def test_several_labels_give_average_precision_and_no_confusion():
    scores = made_up_scores()
    scores.labels[0] = [1, 1, 0]
    figures = modality_figures(scores, ["x", "y", "z"], multi_label=True)
    assert "confusion" not in figures and "accuracy" not in figures["main"]["audio"]
    assert figures["classes"][0]["scores"]["audio"] == pytest.approx(0.5)
    assert "mAP" in report_page(report_of(scores, ["x", "y", "z"], multi_label=True))


def test_the_head_that_speaks_depends_on_names_alone():
    assert main_head(AUDIO, ["audio", "fusion", "global"]) == "audio"
    assert main_head(BOTH, ["audio", "video", "fusion", "global"]) == "fusion"
    assert main_head(BOTH, ["audio", "video", "global"]) == "global"


def test_the_page_needs_no_other_file_and_escapes_names():
    report = report_of(made_up_scores(), ["<script>alert(1)</script>", "y", "z"])
    report["unusable_clips"] = ['<img src="http://example.org/x.png">']
    page = report_page(report)
    assert "<script" not in page and "&lt;script&gt;" in page
    links = re.findall(r'<[^>]*\b(?:src|href)="([^"]*)"', page)
    assert len(links) == 2 and all(link.startswith("data:image/svg+xml;base64,") for link in links)


def test_many_classes_still_make_a_page():
    rng = np.random.default_rng(0)
    labels = np.eye(60, dtype="float32")[np.arange(120) % 60]
    logits = {subset: {"fusion": rng.normal(size=(120, 60))} for subset in (AUDIO, BOTH)}
    presence = {name: np.ones(120, bool) for name in BOTH}
    scores = SubsetScores(tuple(map(str, range(120))), labels, presence, logits, ())
    names = [f"class {index}" for index in range(60)]
    assert "class 59" in report_page(report_of(scores, names))


def test_evaluate_run_writes_a_report_of_every_subset(small_run, small_clips, tmp_path):
    result = evaluate_run(small_run, small_clips.shards, out=tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert list(report["scores"]) == ["audio", "video", "audio+video"]
    assert result["scores"] == report["scores"] and result["num_clips"] == 16
    assert list(report["main"]) == list(report["scores"])
    assert set(report["scores"]["audio+video"]) == {"audio", "video", "fusion", "global"}
    assert set(report["scores"]["audio"]) == {"audio", "fusion", "global"}
    has_audio = sum(plan.has_audio for plan in small_clips.plans if plan.split == "test")
    groups = {group["has"]: group["num_clips"] for group in report["presence"]}
    assert groups == {"audio+video": has_audio, "video": 16 - has_audio} and 0 < has_audio < 16
    assert sum(map(sum, report["confusion"]["audio+video"])) == 16
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


def test_evaluate_run_can_be_asked_for_one_subset(small_run, small_clips, tmp_path):
    result = evaluate_run(small_run, small_clips.shards, subsets=[("video", "audio")], out=tmp_path)
    assert list(result["scores"]) == ["audio+video"]
    assert "gain" not in json.loads((tmp_path / "report.json").read_text())["classes"][0]


def test_a_report_of_one_subset_has_a_folder_of_its_own(small_run, small_clips, tmp_path):
    run = shutil.copytree(small_run, tmp_path / "run")
    result = evaluate_run(run, small_clips.shards, subsets=[("video", "audio")])
    assert result["json"] == str(run / "report_audio+video" / "report.json")
    assert not (run / "report").exists()


def test_a_stream_the_model_lacks_is_refused(small_run, small_clips, tmp_path):
    with pytest.raises(ConfigError, match=r"`subsets` must be chosen from the streams \['audio', 'video'\]"):
        evaluate_run(small_run, small_clips.shards, subsets=[("smell",)], out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_empty_split_is_an_error(task):
    x, y, weight = batch_of(task, np.random.default_rng(0))
    with pytest.raises(TrainingError, match="Not one clip"):
        score_subsets(task, [(x, y, 0.0 * weight)], list("abcde"), [AUDIO])
