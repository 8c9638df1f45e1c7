"""The real task, killed with SIGKILL while everything random is on, ends as if nobody had killed it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.applications.training.test_resume import final_state

SETTINGS = (
    "training.epochs=4",
    "training.batch_size=4",
    "training.ema_momentum=0.9",
    "data.geometry.seconds=1.28",
    "data.geometry.sample_rate_hz=8000",
    "data.geometry.num_frames=4",
    "data.geometry.height_px=16",
    "data.geometry.width_px=16",
    "data.augmentation.flip_rate=0.5",
    "data.augmentation.mixup_alpha=0.4",
    "data.augmentation.modality_dropout_rate=0.3",
    "model.spectrogram_frames=64",
    "model.spectrogram_bins=16",
    "model.spectrogram_patch=(16,8)",
    "model.stochastic_depth_rate=0.2",
)
SIZES = {  # configuration: how it is made smaller
    "tiny": ("model.num_layers=1", "model.hidden_dim=16", "model.dropout_rate=0.1"),
    "swin_tiny": ("model.num_layers=1,1", "model.hidden_dim=8"),
    "hip_tiny": ("model.num_latents=5,5", "model.hidden_dim=16,16", "model.dropout_rate=0.1"),
}


def start(config, run, shards):
    program = "import sys; from zorro_keras.applications.cli import main; sys.exit(main())"
    words = [
        "train",
        "audio_visual_classification",
        "--config",
        config,
        "--data",
        str(shards),
        "--out",
        str(run),
    ]
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            program,
            *words,
            *(word for setting in (*SETTINGS, *SIZES[config]) for word in ("--set", setting)),
        ],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    _, errors = process.communicate(timeout=280)
    assert process.returncode == 0, errors[-3000:]


@pytest.mark.long
@pytest.mark.parametrize("config", SIZES)
def test_a_killed_classifier_ends_like_one_never_killed(config, small_clips, tmp_path):
    finish(start(config, tmp_path / "unbroken", small_clips.shards))
    process = start(config, tmp_path / "killed", small_clips.shards)
    deadline = time.monotonic() + 240
    while not list((tmp_path / "killed").glob("checkpoints/step-*")) and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()[-3000:]
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    finish(start(config, tmp_path / "killed", small_clips.shards))
    assert final_state(tmp_path / "killed") == final_state(tmp_path / "unbroken")
