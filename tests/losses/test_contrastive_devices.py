"""Spread over devices, a batch has the negatives of all of them: loss and step are those of one device."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

MODEL = """
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

def model():
    keras.utils.set_random_seed(0)
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 6, "mlp_dim": 7, "num_fusion_tokens": 2}
    backbone = zk.models.ZorroViTBackbone(STREAMS, **sizes)
    made = AudioVisualPretrainer(backbone, projection_dim=5, learn_temperature=True)
    made.compile(keras.optimizers.SGD(0.1), jit_compile=keras.backend.backend() == "jax")
    return made

def arrays(model):
    return [
        keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(weight)).copy()
        for weight in model.trainable_variables
    ]

def steps(before, after):
    return [new - old for new, old in zip(after, before, strict=True)]

def tell(devices, logs, spread_logs, steps, spread_steps):
    print(json.dumps({
        "devices": devices,
        "logs": logs,
        "spread_logs": spread_logs,
        "step": max(float(abs(step).max()) for step in steps),
        "difference": max(float(abs(a - b).max()) for a, b in zip(steps, spread_steps, strict=True)),
    }))
"""

JAX = """
def trained():
    made = model()
    before = arrays(made)
    logs = [made.train_on_batch(clips, return_dict=True) for _ in range(2)]
    return [{name: float(value) for name, value in log.items()} for log in logs], steps(before, arrays(made))

one = trained()
keras.distribution.set_distribution(keras.distribution.DataParallel())
spread = trained()
tell(len(keras.distribution.list_devices()), one[0], spread[0], one[1], spread[1])
"""

TENSORFLOW = """
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

# What a strategy of TensorFlow hands out is averaged by Keras's `fit`, which bools are not.
clips["presence"] = {name: flags.astype("int32") for name, flags in clips["presence"].items()}

def trained():
    made = model()
    before = arrays(made)
    batches = tf.data.Dataset.from_tensors(clips)
    history = keras.Model.fit(made, batches.repeat(), steps_per_epoch=1, epochs=2, verbose=0).history
    logs = [{name: values[epoch] for name, values in history.items()} for epoch in range(2)]
    return logs, steps(before, arrays(made))

one = trained()
strategy = tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(2)])
with strategy.scope():
    spread = trained()
tell(strategy.num_replicas_in_sync, one[0], spread[0], one[1], spread[1])
"""

TORCH = """
import torch
import torch.multiprocessing

def gradients(made, module, x):
    answers = module(x)
    loss = made.compute_loss(x=x, y_pred=answers)
    loss.backward()
    found = [keras.ops.convert_to_numpy(weight.value.grad) for weight in made.trainable_variables]
    return [{"loss": loss.item()}], found

def share(rank, store):
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    made = model()
    half = keras.tree.map_structure(lambda array: array[rank::2], clips)
    spread = gradients(made, torch.nn.parallel.DistributedDataParallel(made), half)
    torch.distributed.destroy_process_group()
    if rank == 0:
        made = model()
        one = gradients(made, made, clips)
        tell(2, one[0], spread[0], one[1], spread[1])

share(int(sys.argv[1]), sys.argv[2])
"""


def started(backend, program, *arguments):
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "NPROC": "4",  # a thread for each device: with fewer, XLA can wait for itself
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    command = [sys.executable, "-c", MODEL + program, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def told(process):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return output


def check(output, devices):
    found = json.loads(output.splitlines()[-1])
    assert found["devices"] == devices
    for one, spread in zip(found["logs"], found["spread_logs"], strict=True):
        assert spread == pytest.approx(one, rel=1e-5)
    assert found["step"] > 0.01 and found["difference"] < 1e-5 * found["step"]


def test_four_devices_of_jax_give_the_loss_and_the_step_of_one():
    pytest.importorskip("jax")
    check(told(started("jax", JAX)), 4)


@pytest.mark.tensorflow
def test_two_replicas_of_tensorflow_give_the_loss_and_the_step_of_one():
    check(told(started("tensorflow", TENSORFLOW)), 2)


@pytest.mark.torch
def test_two_processes_of_torch_give_the_loss_and_the_gradient_of_one(tmp_path):
    processes = [started("torch", TORCH, rank, tmp_path / "store") for rank in range(2)]
    first, _ = map(told, processes)
    check(first, 2)
