"""Spread over devices, a batch has the negatives of all of them: loss and step are those of one device."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jax")

PROGRAM = """
import json, sys
import keras
import numpy as np
import zorro_keras as zk
from zorro_keras.applications.audio_visual_pretraining import AudioVisualPretrainer

STREAMS = {
    "audio": zk.streams.Spectrogram(4, 4, patch=(2, 4)),
    "video": zk.streams.Video(2, 4, 4, patch=(1, 4, 4)),
}
random = np.random.default_rng(0)
clips = {name: random.normal(size=(8, *stream.shape)).astype("float32") for name, stream in STREAMS.items()}
clips["presence"] = {"audio": np.arange(8) != 2, "video": np.arange(8) != 5}

def trained():
    keras.utils.set_random_seed(0)
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 6, "mlp_dim": 7, "num_fusion_tokens": 2}
    model = AudioVisualPretrainer(zk.models.ZorroViTBackbone(STREAMS, **sizes), projection_dim=5)
    model.compile(keras.optimizers.SGD(0.1))
    before = [np.array(weight.value) for weight in model.trainable_variables]
    logs = [model.train_on_batch(clips, return_dict=True) for _ in range(2)]
    after = [np.array(weight.value) for weight in model.trainable_variables]
    steps = [new - old for new, old in zip(after, before, strict=True)]
    return [float(log["loss"]) for log in logs], steps

losses, steps = trained()
keras.distribution.set_distribution(keras.distribution.DataParallel())
spread_losses, spread_steps = trained()
print(json.dumps({
    "devices": len(keras.distribution.list_devices()),
    "losses": losses,
    "spread_losses": spread_losses,
    "step": max(float(abs(step).max()) for step in steps),
    "difference": max(float(abs(a - b).max()) for a, b in zip(steps, spread_steps, strict=True)),
}))
"""


def test_four_devices_give_the_loss_and_the_step_of_one():
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["devices"] == 4
    assert found["spread_losses"] == pytest.approx(found["losses"], rel=1e-5)
    assert found["step"] > 0.01 and found["difference"] < 1e-5 * found["step"]
