"""A script: two steps of each kind of model on TensorFlow, on one device and copied to two, to compare.

Its arguments name models of `spread_steps.py`, or "masked language". Prints one line of JSON.
"""

import dataclasses
import io
import json
import sys

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console

from tests.applications.training.distribution import spread_steps
from zorro_keras.applications.masked_language.config import TINY
from zorro_keras.applications.masked_language.model import build_model
from zorro_keras.applications.training.config import TrainingConfig
from zorro_keras.applications.training.distribution.devices import parts_of_devices, prepare_for_fit, spread
from zorro_keras.applications.training.replicas import array_of

CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)
spread_steps.DROPOUT = 0.0  # each device draws its own
BATCH, LENGTH = spread_steps.BATCH, 7


def masked_language(_):
    small = {"embed_dim": 12, "num_latents": 5, "latent_dim": 16, "num_layers": 1, "query_key_dim": 8}
    model = dataclasses.replace(TINY.model, num_heads=2, **small)
    return build_model(
        dataclasses.replace(TINY, model=model, data=dataclasses.replace(TINY.data, length=LENGTH))
    )


def batch(name):
    """Returns what `fit` takes; each example counts differently."""
    if name != "masked language":
        return spread_steps.batches(name)
    random = np.random.default_rng(0)
    ids = random.integers(6, 99, size=(BATCH, LENGTH)).astype("int32")
    weight = random.uniform(size=ids.shape) < np.linspace(0.1, 1.0, BATCH)[:, None]
    return {"text": ids}, ids, weight.astype("float32")


def trained(name, config):
    """Returns the figures of two steps, how far each array had moved after them, and the number of copies."""
    with spread(config, Console(file=io.StringIO())) as devices:
        keras.utils.set_random_seed(3)
        make, kind = {**spread_steps.MODELS, "masked language": (masked_language, None)}[name]
        model = make(kind)
        loss = {"loss": "mse"} if name == "perceiver io" else {}
        model.compile(keras.optimizers.SGD(0.01), jit_compile=False, **loss)
        before = [array_of(weight) for weight in model.trainable_variables]
        given = tuple(part for part in batch(name) if part is not None)
        batches = tf.data.Dataset.from_tensors(given if len(given) > 1 else given[0]).repeat()
        prepare_for_fit(model)
        history = keras.Model.fit(
            model, parts_of_devices(batches), steps_per_epoch=1, epochs=2, shuffle=False, verbose=0
        ).history
        after = [array_of(weight) for weight in model.trainable_variables]
    return history, [new - old for new, old in zip(after, before, strict=True)], devices.replicas


def compared(name):
    one, two = (trained(name, TrainingConfig(batch_size=BATCH, distribute=way)) for way in ("none", "data"))
    pairs = zip(one[1], two[1], strict=True)
    return {
        "replicas": [one[2], two[2]],
        "figures": [one[0], two[0]],
        "step": max(float(abs(step).max()) for step in one[1]),
        "difference": max(float(abs(mine - theirs).max()) for mine, theirs in pairs),
    }


def seeds():
    """Returns the seeds of the copies of a dropout, prepared twice."""
    with spread(TrainingConfig(batch_size=BATCH, distribute="data"), Console(file=io.StringIO())):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dropout(0.5, seed=5)])
        for _ in range(2):
            prepare_for_fit(model)
        (state,) = model.non_trainable_variables
        copies = tf.distribute.get_strategy().experimental_local_results(state.value)
        return [copy.numpy().tolist() for copy in copies]


if __name__ == "__main__":
    print(json.dumps({"steps": {name: compared(name) for name in sys.argv[1:]}, "seeds": seeds()}))
