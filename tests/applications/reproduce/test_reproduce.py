"""The claims in small: the rows fit together, and a quick run goes all the way."""

import io
import json

import pytest
from rich.console import Console

pytest.importorskip("tensorflow")

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.reproduce import experiments
from zorro_keras.applications.reproduce.claims import CLAIMS
from zorro_keras.applications.reproduce.command import reproduce
from zorro_keras.applications.reproduce.experiments import EXPERIMENTS
from zorro_keras.applications.reproduce.report import report_of

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def made_up(name, right, measures):
    return [
        {"name": name, "seed": seed, "seconds": 1.0, "hits": dict.fromkeys(measures, right)}
        for seed in (0, 1)
    ]


def test_every_experiment_is_compared_and_every_comparison_has_its_experiments():
    arms = [arm for claim in CLAIMS.values() for row in claim.comparisons for arm in (row.first, row.second)]
    assert {experiment for experiment, _ in arms} == set(EXPERIMENTS)


def test_the_verdict_follows_the_figures():
    measures = {
        arm[1] for claim in CLAIMS.values() for row in claim.comparisons for arm in (row.first, row.second)
    }
    results = {name: made_up(name, [1, 1, 1, 0], measures) for name in EXPERIMENTS}
    results["early"] = made_up("early", [0, 0, 0, 0], measures)
    row = report_of(results)["claims"]["b"]["comparisons"][0]
    assert row["verdict"] == "comes out" and row["effect"]["by_seed"] == [75.0, 75.0]
    assert row["sentence"].endswith("vanilla, sound alone: 0.0 %. Effect: +75.0 points (± 42.4): comes out.")
    results["early"] = made_up("early", [1, 1, 1, 0], measures)
    assert report_of(results)["claims"]["b"]["comparisons"][0]["verdict"] == "within the spread"


def test_a_reproduction_needs_a_seed(tmp_path):
    with pytest.raises(ConfigError, match="must be positive. Received: num_seeds=0"):
        reproduce(tmp_path, num_seeds=0)


@pytest.mark.long
def test_a_quick_reproduction_goes_all_the_way_and_again_without_training(tmp_path, monkeypatch):
    said = io.StringIO()
    report = reproduce(tmp_path, quick=True, num_seeds=1, console=Console(file=said, width=160))
    written = json.loads((tmp_path / "report.json").read_text())
    assert list(written["claims"]) == ["a", "b", "c", "d"] and set(written["experiments"]) == set(EXPERIMENTS)
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 0 and page.count("image/svg+xml") == 4 and "A quick run" in page
    assert "means nothing" in said.getvalue()
    monkeypatch.setattr(experiments, "_HOW", {})
    again = reproduce(tmp_path, quick=True, num_seeds=1, console=Console(file=io.StringIO()))
    assert again["claims"] == report["claims"]
    with pytest.raises(ConfigError, match="results of the same settings"):
        reproduce(tmp_path, num_seeds=1)
