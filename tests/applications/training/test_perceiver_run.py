"""A run of audio-visual classification on a Perceiver IO: resumed exactly, reported, asked and averaged."""

import dataclasses
import json

import pytest

pytest.importorskip("tensorflow")

from tests.applications.training.conftest import TASK
from tests.applications.training.resume import assert_resumes_exactly
from zorro_keras.applications.training.predict import predict_file
from zorro_keras.applications.training.report import evaluate_run

pytestmark = [
    pytest.mark.long,
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def config():
    from zorro_keras.applications.audio_visual_classification.config import CONFIGS
    from zorro_keras.applications.pipelines.geometry import ClipGeometry

    tiny = CONFIGS["perceiver_tiny"]
    geometry = ClipGeometry(seconds=1.28, sample_rate_hz=8000, num_frames=4, height_px=16, width_px=24)
    model = dataclasses.replace(
        tiny.model, waveform_patch=160, num_latents=7, hidden_dim=12, num_layers=1, query_dim=10, num_heads=2,
        audio_bands=3, video_bands=2, dropout_rate=0.1, multi_label=True,
    )  # fmt: skip
    augmentation = dataclasses.replace(
        tiny.data.augmentation, flip_rate=0.5, mixup_alpha=0.4, modality_dropout_rate=(0.1, 0.3)
    )
    return dataclasses.replace(
        tiny,
        data=dataclasses.replace(
            tiny.data, geometry=geometry, augmentation=augmentation, test_clips=3, num_workers=1
        ),
        model=model,
        training=dataclasses.replace(tiny.training, epochs=2, batch_size=4),
    )


def test_a_perceiver_run_resumes_exactly_and_is_measured_over_the_windows_of_a_clip(
    config, small_clips, tmp_path
):
    assert_resumes_exactly(TASK, config, small_clips.shards, tmp_path)
    run = tmp_path / "unbroken"
    last = json.loads((run / "log.jsonl").read_text().splitlines()[-1])["metrics"]
    report = evaluate_run(run, small_clips.shards)
    assert set(report["scores"]) == {"audio", "video", "audio+video"} and report["num_clips"] == 16
    assert {head for heads in report["scores"].values() for head in heads} == {"label"}
    # The report averages the three windows of each clip; so did the validation of the last epoch.
    measured = report["scores"]["audio+video"]["label"]["mean_average_precision"]
    assert last["val_label_mean_average_precision"] == pytest.approx(measured, abs=1e-5)
    clip = small_clips.folder / next(plan.path for plan in small_clips.plans if plan.has_audio)
    answers = predict_file(run, clip, streams=["audio"], top=2)
    assert set(answers) == {"label"} and len(answers["label"]) == 2
