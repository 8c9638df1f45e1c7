"""What is counted of what was hidden, by a model whose answers are known."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

pytest.importorskip("tensorflow")

from zorro_keras.applications.masked_autoencoding.scores import HiddenScores
from zorro_keras.applications.pipelines.geometry import ClipGeometry

CLIP = ClipGeometry(seconds=1.28, sample_rate_hz=100, num_frames=8, height_px=2, width_px=3)


@pytest.fixture
def task(monkeypatch):
    """Answers 1 everywhere, and has hidden every second element, the first one among them."""

    def answers(x):
        hidden = {name: np.zeros_like(x[name], bool) for name in ("audio", "video")}
        hidden["audio"][:, ::2] = hidden["video"][:, :, ::2] = True
        return {"reconstruction": {name: np.ones_like(x[name]) for name in hidden}, "hidden": hidden}

    monkeypatch.setattr(keras.Model, "predict_on_batch", lambda task, x: x)
    preprocessor = SimpleNamespace(scales={"audio": 1.0, "video": 0.5}, to_pixels=lambda pixels: pixels / 10)
    return SimpleNamespace(
        as_clip=answers, backbone=SimpleNamespace(streams=("audio", "video")), preprocessor=preprocessor
    )


def window(sounds=(True,), pictures=(True,)):
    shape = (len(pictures), CLIP.num_frames, CLIP.height_px, CLIP.width_px, 3)
    return {
        "audio": np.full((len(sounds), CLIP.num_samples), 3.0, np.float32),
        "video": np.full(shape, 5.0, np.float32),
        "presence": {"audio": np.array(sounds), "video": np.array(pictures)},
    }


def test_what_fills_up_the_last_window_is_not_counted(task):
    def figures(within):
        scores = HiddenScores(task, {"audio": np.arange(CLIP.num_samples), "video": np.zeros((8, 2, 3, 3))})
        scores.add(window())
        x = window()
        x["audio"][:, 2:], x["video"][:, 1:] = 100.0, 9.0
        scores.add(x, within)
        return scores.figures(), scores.shown

    found, shown = figures(CLIP.sizes_within(0.02))  # two samples and the frame that is shown then
    assert found["audio"]["mean_squared_error"]["model"] == 4.0
    assert found["audio"]["mean_squared_error"]["visible_mean"] == 0.0
    true = (np.square(np.arange(0, CLIP.num_samples, 2) - 3.0).sum() + 9.0) / 65
    assert found["audio"]["mean_squared_error"]["training_mean"] == pytest.approx(true)
    assert found["video"]["mean_squared_error"] == {"model": 4.0, "training_mean": 6.25, "visible_mean": 0.0}
    assert found["audio"]["num_clips"] == 2 and shown[1][0].max() == 128
    whole, shown = figures(None)
    assert whole["audio"]["mean_squared_error"]["model"] > 100 and shown[1][0].max() == 230


def test_clips_that_could_not_be_read_are_not_counted(task):
    scores = HiddenScores(task)
    scores.add(window(sounds=(True, False, False, True), pictures=(True, True, False, False)))
    scores.add(window(sounds=(False,), pictures=(False,)))
    assert scores.num_clips == 3
    assert {name: found["num_clips"] for name, found in scores.figures().items()} == {"audio": 2, "video": 2}


def test_a_window_that_ends_with_its_file_is_counted_whole():
    assert CLIP.sizes_within(1.28) == CLIP.sizes_within(7.0) == {"audio": 128, "video": 8}
    assert CLIP.sizes_within(0.64) == {"audio": 64, "video": 4}
    assert CLIP.sizes_within(0.0) == {"audio": 1, "video": 1}
