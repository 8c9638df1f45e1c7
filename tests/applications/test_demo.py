"""The demo: the whole way in small, and what it does when the result is not good enough."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

pytest.importorskip("tensorflow")

from zorro_keras.applications import demo as demo_module
from zorro_keras.applications.demo import FLOORS, demo
from zorro_keras.applications.pipelines.faults import TrainingError
from zorro_keras.applications.pipelines.generated_clips import CEILINGS

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_floors_lie_below_the_ceilings_for_the_same_inputs():
    assert list(FLOORS) == list(CEILINGS)
    assert all(FLOORS[inputs] < CEILINGS[inputs] for inputs in FLOORS)


def test_a_result_below_a_floor_is_an_error_that_names_it():
    demo_module._check_floors({"audio": 0.72, "video": 0.70, "audio+video": 0.88})
    with pytest.raises(TrainingError, match=r"must reach: video 69\.9% < 70%\.") as caught:
        demo_module._check_floors({"audio": 0.72, "video": 0.699, "audio+video": 0.88})
    assert caught.value.exit_code == 4


def test_a_served_model_that_answers_differently_is_an_error():
    served = {"label_names": np.array(["a", "b"]), "audio_probabilities": np.array([0.25, 0.75])}
    same = {"audio": [{"label": "b", "probability": 0.75}, {"label": "a", "probability": 0.25}]}
    assert demo_module._difference(served, same) == 0.0
    with pytest.raises(TrainingError, match="answers differently, by 0.1"):
        demo_module._difference(served, {"audio": [{"label": "a", "probability": 0.35}]})


@pytest.mark.long
def test_the_quick_demo_goes_all_the_way_and_again_without_training(tmp_path, well_compiled):
    text = io.StringIO()
    summary = demo(tmp_path, quick=True, console=Console(file=text, width=160))
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert set(summary["accuracy"]) == {"audio", "video", "audio+video"}
    assert set(summary["accuracy"]["audio+video"]) == {"audio", "video", "fusion", "global"}
    phases = ["clips", "prepare", "train", "evaluate", "export", "serve", "predict"]
    assert list(summary["seconds"]) == [*phases, "total"]
    assert summary["clips_per_second"]["train"] > 0 and summary["backend"] in ("jax", "tensorflow", "torch")
    assert summary["export"]["served_difference"] < 1e-4
    assert "78.1%" in text.getvalue() and "94.5%" in text.getvalue()
    again = demo(tmp_path, quick=True, console=Console(file=io.StringIO()))
    assert again["resumed_from_epoch"] == 2 and again["accuracy"] == summary["accuracy"]
