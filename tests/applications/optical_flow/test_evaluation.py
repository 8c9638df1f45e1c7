"""What an evaluation adds up, of a model that sees no motion."""

import time

import numpy as np
import pytest

from tests import flow_maker as made
from tests.applications.optical_flow.sizes import SETTINGS, NoMotion
from zorro_keras.applications.optical_flow import commands, evaluation
from zorro_keras.applications.optical_flow.config import CONFIGS
from zorro_keras.applications.optical_flow.evaluation import Evaluation
from zorro_keras.applications.optical_flow.model import build_model
from zorro_keras.applications.optical_flow.report import report_page
from zorro_keras.applications.pipelines.accounted_reading import Reading
from zorro_keras.applications.pipelines.flow_pairs import FlowPair, read_pair
from zorro_keras.applications.pipelines.flow_sources import read_flow_source
from zorro_keras.applications.training import open_model
from zorro_keras.applications.training.config import apply_overrides


def pair(length_px, height, width):
    """All pixels move to the right."""
    flow = np.stack([np.full((height, width), length_px), np.zeros((height, width))], axis=-1)
    frames = np.zeros((2, height, width, 3), "uint8")
    return FlowPair(frames, flow.astype("float32"), np.ones((height, width), bool), None)


def page_of(figures, found):
    report = {**figures, **dict.fromkeys(("run", "data", "layout", "split", "backend"), "any")}
    return report_page(report, found.pictures())


def test_passes_are_measured_apart_by_pixels_and_by_pairs():
    found = Evaluation(NoMotion())
    for name, length, width in (("clean/a", 1.0, 7), ("clean/b", 5.0, 21), ("final/a", 11.0, 7)):
        found.add(name, pair(length, 3, width), name.split("/")[0])
    figures = found.figures()
    assert list(figures["passes"]) == ["clean", "final"]
    clean, final = figures["passes"].values()
    assert (clean["num_pairs"], clean["pixels"], final["num_pairs"]) == (2, 84, 1)
    assert clean["end_point_error"] == pytest.approx((1 + 3 * 5) / 4)
    assert clean["mean_of_pairs"] == pytest.approx(3) and clean["fl_all"] == pytest.approx(0.75)
    assert final["end_point_error"] == final["mean_of_pairs"] == pytest.approx(11)
    assert figures["end_point_error"] == pytest.approx((1 + 3 * 5 + 11) / 5)
    assert figures["mean_of_pairs"] == pytest.approx((1 + 5 + 11) / 3)
    page = page_of(figures, found)
    assert "<td>clean</td><td>2</td><td>84</td><td>4.00 px</td>" in page and "11.00 px" in page
    assert "as published for KITTI: 5.67 px" in page


def test_the_passes_are_those_of_sintel(tmp_path):
    source, found = read_flow_source(made.sintel(tmp_path)), Evaluation(NoMotion())
    found.add_all(source.entries, Reading(source.root))
    assert {name: part["num_pairs"] for name, part in found.figures()["passes"].items()} == {
        "clean": 4, "final": 4
    }  # fmt: skip


def test_where_there_is_one_pass_it_is_not_told_twice(tmp_path):
    source, found = read_flow_source(made.kitti(tmp_path)), Evaluation(NoMotion())
    found.add_all(source.entries, Reading(source.root))
    figures = found.figures()
    assert figures["num_pairs"] == 4 and figures["passes"] == {}
    assert "Pass by pass" not in page_of(figures, found)


def test_few_pairs_wait_for_a_slow_model(tmp_path, monkeypatch):
    started, waiting = [], []

    class SlowModel(NoMotion):
        def __call__(self, first, second):
            time.sleep(0.05)
            waiting.append(len(started) - len(waiting) - 1)
            return super().__call__(first, second)

    def counted(entry, **options):
        started.append(entry.id)
        return read_pair(entry, **options)

    monkeypatch.setattr(evaluation, "read_pair", counted)
    source = read_flow_source(made.triples(tmp_path, count=12))
    Evaluation(SlowModel()).add_all(source.entries, Reading(source.root, num_workers=16))
    assert len(waiting) == 12 and 0 < max(waiting) <= 4


def test_a_preset_is_measured_on_all_pairs_unless_the_data_say_which(tmp_path, monkeypatch):
    model = build_model(apply_overrides(CONFIGS["tiny"], [*SETTINGS, "data.flow_scale=7"]))
    model.save_to_preset(str(tmp_path / "preset"))
    monkeypatch.setattr(open_model, "open_model", lambda folder, kind: model)  # read once is enough
    measured = []

    def tiled(task, *options):
        measured.append(task)
        return NoMotion()

    monkeypatch.setattr(commands, "_tiled", tiled)
    kitti = made.kitti(tmp_path / "kitti")
    named = made.triples(tmp_path / "named", count=3, splits=("train", "val"))
    for data, whole, split, num_pairs in (
        (kitti, False, "all", 4), (kitti, True, "all", 4), (named, False, "val", 3), (named, True, "all", 6)
    ):  # fmt: skip
        figures = commands.evaluate(tmp_path / "preset", data, whole=whole)
        assert (figures["split"], figures["num_pairs"]) == (split, num_pairs)
    assert (tmp_path / "preset" / "report" / "report.html").exists()
    assert [task.flow_scale for task in measured] == [7.0] * 4
