"""A run folder as training leaves it, with a small model that was never trained, and clips for it."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.applications.training.toy_process import SETTINGS, final_state, finish

TASK = "audio_visual_classification"


@pytest.fixture(scope="session")
def small_config():
    from zorro_keras.applications.audio_visual_classification.config import CONFIGS
    from zorro_keras.applications.pipelines.geometry import ClipGeometry

    tiny = CONFIGS["tiny"]
    geometry = ClipGeometry(seconds=1.28, sample_rate_hz=8000, num_frames=4, height_px=16, width_px=24)
    model = dataclasses.replace(
        tiny.model,
        spectrogram_frames=64,
        spectrogram_bins=16,
        spectrogram_patch=(16, 8),
        video_patch=(2, 8, 8),
        num_fusion_tokens=3,
        num_layers=2,
        num_heads=2,
        hidden_dim=12,
        mlp_dim=20,
        dropout_rate=0.5,
    )
    return dataclasses.replace(
        tiny,
        data=dataclasses.replace(tiny.data, geometry=geometry, test_clips=2, num_workers=1),
        model=model,
        training=dataclasses.replace(tiny.training, batch_size=5),
    )


@pytest.fixture(scope="session")
def small_clips(tmp_path_factory):
    """Eight training and sixteen test clips: `folder`, `plans`, `shards`."""
    from zorro_keras.applications.pipelines.generated_clips import generate_clips
    from zorro_keras.applications.pipelines.prepare import prepare

    folder = tmp_path_factory.mktemp("clips")
    plans = generate_clips(str(folder / "clips"), count=8, test_count=16, seed=0, num_workers=1)
    prepare(
        folder / "clips" / "clips.csv",
        folder / "shards",
        sample_rate_hz=8000,
        frame_rate_hz=8.0,
        shorter_side_px=24,
        num_workers=1,
    )
    return SimpleNamespace(folder=folder / "clips", plans=plans, shards=folder / "shards")


@pytest.fixture(scope="session")
def small_run(tmp_path_factory, small_config, small_clips) -> Path:
    import keras

    from zorro_keras.applications.audio_visual_classification.data import open_data
    from zorro_keras.applications.audio_visual_classification.model import build_model
    from zorro_keras.applications.training import checkpoint
    from zorro_keras.applications.training.optimizer import build_optimizer
    from zorro_keras.applications.training.run_identity import identity

    keras.utils.set_random_seed(3)
    run = tmp_path_factory.mktemp("runs") / "small"
    run.mkdir()
    data = open_data(small_clips.shards, small_config)
    about = identity(TASK, small_config, data)
    (run / "config.json").write_text(json.dumps(about))
    model = build_model(small_config, data.label_names)
    model.compile(optimizer=build_optimizer(model, small_config.training, 1))
    for head in model.heads.values():  # fresh ones say nearly the same of every clip
        head.set_weights([4.0 * weight for weight in head.get_weights()])
    checkpoint.save(run / "checkpoints", model, step=1, state={"epoch": 1, "history": []})
    return run


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """What a run of the toy task that nobody interrupts ends with."""
    run = tmp_path_factory.mktemp("toy") / "unbroken"
    finish(run, *SETTINGS)
    return final_state(run)
