"""The library without TensorFlow: everything but `applications/` works on JAX or torch alone."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

BACKEND = os.environ["KERAS_BACKEND"]
HUB = tuple(map(int, version("keras-hub").split(".")[:2]))
pytestmark = [
    pytest.mark.skipif(BACKEND == "tensorflow", reason="TensorFlow is the backend here"),
    pytest.mark.skipif(HUB < (0, 32), reason="keras-hub before 0.32 imports TensorFlow itself"),
]

# Runs first in a new process. Where TensorFlow is installed, this makes it as good as absent.
WITHOUT_TENSORFLOW = """
import sys
from importlib.machinery import PathFinder

find_spec = PathFinder.find_spec

def find_all_but_tensorflow(name, path=None, target=None):
    hidden = name.partition(".")[0] in ("tensorflow", "tensorflow_text", "tensorflow_io")
    return None if hidden else find_spec(name, path, target)

PathFinder.find_spec = find_all_but_tensorflow
"""

TRAIN_SAVE_AND_LOAD = """
import keras, numpy as np, zorro_keras as zk

streams = {"audio": zk.streams.Spectrogram(32, 16), "video": zk.streams.Video(2, 32, 32)}
backbone = zk.models.ZorroViTBackbone(
    streams, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=32, num_fusion_tokens=2
)
inputs = {name: keras.Input(stream.shape, name=name) for name, stream in streams.items()}
model = keras.Model(inputs, keras.layers.Dense(3)(backbone(inputs)["global"]))
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
x = {name: np.random.rand(4, *stream.shape).astype("float32") for name, stream in streams.items()}
model.fit(x, np.array([0, 1, 2, 0]), batch_size=2, verbose=0)
before = model.predict(x, verbose=0)
model.save(sys.argv[1])
after = keras.saving.load_model(sys.argv[1]).predict(x, verbose=0)
np.testing.assert_array_equal(before, after)
print(keras.backend.backend(), "tensorflow" in sys.modules)
"""


def run(program: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW + program, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_tensorflow_really_is_out_of_reach():
    result = run("import tensorflow")
    assert result.returncode == 1
    assert "No module named 'tensorflow'" in result.stderr


def test_a_model_trains_saves_and_loads_without_tensorflow(tmp_path: Path):
    result = run(TRAIN_SAVE_AND_LOAD, str(tmp_path / "model.keras"))
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[-2:] == [BACKEND, "False"]


def test_every_public_name_resolves_without_tensorflow():
    program = "import zorro_keras as zk; [getattr(zk, name) for name in zk.__all__]; print(len(zk.__all__))"
    result = run(program)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.split()[-1]) > 0
