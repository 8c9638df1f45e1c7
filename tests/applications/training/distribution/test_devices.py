"""What cannot be spread over devices is refused before anything is built."""

import contextlib
import io
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from rich.console import Console

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training.config import TrainingConfig
from zorro_keras.applications.training.distribution.devices import Devices, predictor, spread
from zorro_keras.applications.training.distribution.layouts import SplitKernels, report_split

EIGHT = [f"cpu:{index}" for index in range(8)]
on_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX spreads a run in its own way")
on_tensorflow = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of tf.distribute")


def enter(monkeypatch, **settings):
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: EIGHT)
    with spread(TrainingConfig(**settings), Console(file=io.StringIO())) as devices:
        return devices


@on_jax
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"distribute": "data", "batch_size": 12}, r"batch_size` must be divisible by 8.* batch_size=12"),
        (
            {"distribute": "model", "model_devices": 2, "batch_size": 6},
            r"batch_size` must be divisible by 4.* batch_size=6",
        ),
        (
            {"distribute": "model", "model_devices": 3},
            r"model_devices` must be a divisor of the 8 devices.* model_devices=3",
        ),
    ],
)
def test_what_cannot_be_divided_is_refused(settings, message, monkeypatch):
    with pytest.raises(ConfigError, match=message.replace(".* ", ".*Received: training.")):
        enter(monkeypatch, **settings)


@on_jax
def test_the_devices_are_grouped_as_asked(monkeypatch):
    for settings, replicas in (
        ({"distribute": "none"}, 1),
        ({"distribute": "data"}, 8),
        ({"distribute": "model", "model_devices": 2}, 4),
        ({"distribute": "model"}, 1),
    ):
        devices = enter(monkeypatch, **settings)
        assert (devices.replicas, devices.count) == (replicas, 1 if settings["distribute"] == "none" else 8)
    assert keras.distribution.distribution() is None


@on_jax
def test_each_device_answers_its_own_rows(monkeypatch):
    seen = []
    monkeypatch.setattr(keras.Model, "predict_on_batch", lambda model, x: seen.append(x))
    batch = {"points": np.zeros((4, 3), "float32"), "presence": {"points": np.ones(4, bool)}}
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    predictor(model)(batch)
    with spread(TrainingConfig(distribute="data"), Console(file=io.StringIO())):
        predictor(model)(batch)
    assert seen[0] is batch
    for x in keras.tree.flatten(seen[1]):
        assert x.sharding.spec[0] == "batch"


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="others can")
@pytest.mark.parametrize("way", ["data", "model"])
def test_torch_refuses(way, monkeypatch):
    with pytest.raises(ConfigError, match=rf'must be "none" on .*Received: training.distribute=\'{way}\''):
        enter(monkeypatch, distribute=way)


@on_tensorflow
def test_tensorflow_splits_no_weights(monkeypatch):
    message = "\"data\" on TensorFlow: JAX splits .* Received: training.distribute='model'"
    with pytest.raises(ConfigError, match=message):
        enter(monkeypatch, distribute="model")


@on_tensorflow
def test_tensorflow_spreads_one_step_at_a_time(monkeypatch):
    message = "must be 1 where TensorFlow .* Received: training.steps_per_execution=2"
    with pytest.raises(ConfigError, match=message):
        enter(monkeypatch, distribute="data", steps_per_execution=2)


@on_tensorflow
def test_tensorflow_divides_a_batch_by_its_devices(monkeypatch):
    from zorro_keras.applications.training.distribution import tensorflow_strategy

    strategy = SimpleNamespace(num_replicas_in_sync=3, scope=contextlib.nullcontext)
    monkeypatch.setattr(tensorflow_strategy, "make_strategy", lambda: strategy)
    assert enter(monkeypatch, distribute="data", batch_size=12) == Devices(3, 3)
    with pytest.raises(ConfigError, match="divisible by 3.* Received: training.batch_size=8"):
        enter(monkeypatch, distribute="data", batch_size=8)


def test_devices_that_share_weights_are_asked_for_with_them_alone():
    with pytest.raises(ConfigError, match=r"model_devices` must be None unless .* model_devices=2"):
        TrainingConfig(distribute="data", model_devices=2)


@on_jax
def test_a_model_of_which_nothing_can_be_split_is_refused(monkeypatch):
    split = SplitKernels(EIGHT, 8)
    monkeypatch.setattr(keras.distribution, "distribution", lambda: split)

    def model(width):
        variable = SimpleNamespace(path="block_0/mlp/hidden/kernel", shape=(3, width))
        return SimpleNamespace(trainable_variables=[variable])

    with pytest.raises(ConfigError, match="nothing could be split. Received: training.model_devices=8"):
        report_split(model(12), Console(file=io.StringIO()))
    said = io.StringIO()
    report_split(model(16), Console(file=said))
    assert "Each device holds 6 of 48 weights." in said.getvalue()
