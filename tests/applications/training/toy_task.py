"""A task small enough to train, kill and resume in a test: noisy points of four classes. A script, too."""

import argparse
import json
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace

from zorro_keras.applications.training.config import TrainingConfig

NUM_TRAIN, NUM_TEST, FEATURES, CLASSES = 53, 11, 7, ("ant", "bee", "cow", "dog")


@dataclass(frozen=True)
class ToyDataConfig:
    noise: float = 0.3
    num_workers: int = 1
    deadline_seconds: float = 30.0
    max_worker_bytes: int | None = 2**32
    bad_step: int | None = None
    bad_value: str = "nan"
    in_labels: bool = False


@dataclass(frozen=True)
class ToyModelConfig:
    units: int = 13
    rates: tuple[float, ...] = (0.3,)


@dataclass(frozen=True)
class Config:
    data: ToyDataConfig = field(default_factory=ToyDataConfig)
    model: ToyModelConfig = field(default_factory=ToyModelConfig)
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(epochs=4, batch_size=8, warmup_fraction=0.2)
    )


CONFIGS = {"tiny": Config()}


def open_data(path, config):
    """Points are made up; `path` is their fingerprint."""
    return SimpleNamespace(label_names=CLASSES, num_train=NUM_TRAIN, fingerprint=str(path))


def _points(num, seed):
    import numpy as np

    rng = np.random.default_rng(seed)
    labels = rng.integers(len(CLASSES), size=num)
    centres = np.random.default_rng(7).normal(size=(len(CLASSES), FEATURES))
    return (centres[labels] + rng.normal(size=(num, FEATURES))).astype("float32"), np.eye(
        len(CLASSES), dtype="float32"
    )[labels]


def training_dataset(data, config, preprocessor, *, start_step=0, faults_path=None):
    import tensorflow as tf

    points, labels = map(tf.constant, _points(NUM_TRAIN, seed=1))
    seed = config.training.seed

    def example(position):
        epoch, place = position // NUM_TRAIN, position % NUM_TRAIN
        order_seed = tf.stack([tf.cast(seed, tf.int64), epoch])
        index = tf.random.experimental.index_shuffle(
            place, seed=tf.cast(order_seed, tf.uint32), max_index=NUM_TRAIN - 1
        )
        noise = tf.random.stateless_normal((FEATURES,), seed=tf.stack([tf.cast(seed, tf.int64), position]))
        return position, points[index] + config.data.noise * noise, labels[index]

    def spoil(position, x, y):
        bad = position[0] // config.training.batch_size == (
            -1 if config.data.bad_step is None else config.data.bad_step
        )
        value = tf.where(bad, float(config.data.bad_value), 0.0)
        return ({"points": x}, y + value) if config.data.in_labels else ({"points": x + value}, y)

    positions = tf.data.Dataset.range(start_step * config.training.batch_size, tf.int64.max)
    return positions.map(example).batch(config.training.batch_size, drop_remainder=True).map(spoil)


def evaluation_dataset(data, config, preprocessor, *, split="test", faults_path=None):
    import numpy as np
    import tensorflow as tf

    points, labels = _points(NUM_TEST, seed=2)
    weight = np.ones(NUM_TEST, dtype="float32")
    return tf.data.Dataset.from_tensor_slices(({"points": points}, labels, weight)).batch(NUM_TEST), list(
        range(NUM_TEST)
    )


def build_model(config, label_names):
    import keras

    class ToyModel(keras.Model):
        preprocessor = None

        def __init__(self, **kwargs):
            points = keras.Input((FEATURES,), name="points")
            hidden = keras.layers.Dense(config.model.units, activation="gelu")(points)
            hidden = keras.layers.BatchNormalization()(hidden)
            hidden = keras.layers.Dropout(config.model.rates[0], seed=3)(hidden)
            logits = keras.layers.Dense(len(label_names), dtype="float32")(hidden)
            super().__init__({"points": points}, {"logits": logits}, **kwargs)

        def compile(self, **kwargs):
            loss = {"logits": keras.losses.CategoricalCrossentropy(from_logits=True)}
            super().compile(
                loss=loss, metrics={"logits": [keras.metrics.CategoricalAccuracy(name="accuracy")]}, **kwargs
            )

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return super().compute_loss(x, {"logits": y}, y_pred, sample_weight, training)

        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            return super().compute_metrics(x, {"logits": y}, y_pred, sample_weight)

        def save_to_preset(self, folder):
            Path(folder).mkdir()
            self.save_weights(Path(folder) / "model.weights.h5")

    return ToyModel()


def epoch_metrics(predictions, y, sample_weight):
    hits = predictions["logits"].argmax(-1) == y.argmax(-1)
    return {"exact_accuracy": float((hits * sample_weight).sum() / sample_weight.sum())}


def install(module):
    """Makes `module` a task of the library, named `toy`."""
    package = ModuleType("zorro_keras.applications.toy")
    package.__path__ = []
    sys.modules[package.__name__] = package
    for part in ("config", "data", "model"):
        sys.modules[f"{package.__name__}.{part}"] = module


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument(
        "--signal-at", help="SIGNAL:NAME:COUNT, a function that sends it when called for the COUNTth time"
    )
    arguments = parser.parse_args()
    install(sys.modules[__name__])
    from zorro_keras.applications.pipelines.faults import ZorroError
    from zorro_keras.applications.training.config import apply_overrides
    from zorro_keras.applications.training.fit import train

    if arguments.signal_at:
        arm(*arguments.signal_at.split(":"))
    try:
        summary = train("toy", apply_overrides(Config(), arguments.set), "points-1", arguments.run)
    except ZorroError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    print(json.dumps(summary))


def arm(name_of_signal, point, count):
    """Replaces a function by one that sends this process a signal, the `count`th time, before its work."""
    import os

    from zorro_keras.applications.training import callbacks, checkpoint

    calls = {"left": int(count)}
    module, name = {
        "batch": (callbacks.ProgressBar, "on_train_batch_begin"),
        "epoch": (callbacks.Validation, "on_epoch_end"),
    }.get(point, (checkpoint, point))
    original = getattr(module, name)

    def signalling(*args, **kwargs):
        calls["left"] -= 1
        if calls["left"] == 0:
            os.kill(os.getpid(), signal.Signals[name_of_signal])
        return original(*args, **kwargs)

    setattr(module, name, signalling)


if __name__ == "__main__":
    main()
