"""Spreads a run over the devices of its machine, by the engine that its backend has for that."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import ModuleType
from typing import Any

import keras
from rich.console import Console

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training.config import TrainingConfig
from zorro_keras.applications.training.distribution.hosts import this_host
from zorro_keras.applications.training.distribution.layouts import SplitKernels


@dataclasses.dataclass(frozen=True)
class Devices:
    """The devices that a run works on.

    Args:
        count: int. All of them.
        replicas: int. The parts that a batch is cut into, each computed with all of the weights.
    """

    count: int = 1
    replicas: int = 1


@contextmanager
def spread(config: TrainingConfig, console: Console) -> Iterator[Devices]:
    """Within it, models are built and trained on the devices that `config.distribute` asks for.

    Examples, their order and the sums over a batch are those of one device, so the numbers differ from its
    by rounding alone; on TensorFlow also by dropout, which each device draws for its part of a batch.

    Args:
        config: the training configuration.
        console: is told how many devices there are.

    Yields:
        `Devices`.

    Raises:
        ConfigError: if the backend cannot do that, or the batch or the devices cannot be divided so.
    """
    if this_host().count > 1 and config.distribute != "data":
        raise _refused("distribute", '"data" where several hosts train together', config)
    if config.distribute == "none":
        yield Devices()
        return
    engine = {"jax": _by_keras, "tensorflow": _by_tensorflow}.get(keras.backend.backend())
    if engine is None:
        raise _refused("distribute", '"none" on torch: JAX and TensorFlow spread a run', config)
    devices, scope = engine(config)
    if config.batch_size % devices.replicas:
        raise _refused("batch_size", f"divisible by {devices.replicas}, the parts it is computed in", config)
    if devices.count == 1:
        console.print("Training on one device: there is no other to spread over.")
    else:
        console.print(f"Training on {devices.count} devices: {devices.replicas} parts of a batch.")
    with scope:
        yield devices


def parts_of_devices(batches: Any) -> Any:
    """Returns batches as `fit` and `evaluate` take them within `spread`.

    Args:
        batches: dataset of what this host computes of each batch: nested tensors with a leading axis that the
            number of its devices divides.
    """
    strategy = _tensorflow_strategy()
    return batches if strategy is None else strategy.parts_of_copies(batches)


def prepare_for_fit(model: keras.Model) -> None:
    """Readies a model that was built within `spread` for steps in parts. To be called before each `fit`."""
    if (strategy := _tensorflow_strategy()) is not None:
        strategy.prepare_copies(model)


def predictor(model: keras.Model) -> Callable[[Any], Any]:
    """Returns a function from a batch of nested arrays to the answers of `model`, built within `spread`."""
    strategy = _tensorflow_strategy()
    if strategy is None:
        # `keras.Model`'s, because that of a keras-hub Task would preprocess the batches again.
        ask = functools.partial(keras.Model.predict_on_batch, model)
        distribution = keras.distribution.distribution()
        # Of several hosts each asks for the whole batch: it could not read what others' devices answer.
        if distribution is None or this_host().count > 1:
            return ask
        return lambda batch: ask(_cut_for_devices(batch, distribution))
    return strategy.Predictor(model)


def _cut_for_devices(batch: Any, distribution: keras.distribution.Distribution) -> Any:
    """Each device answers its own rows: `predict_on_batch`, unlike `predict`, gives all of them to each."""

    def cut(x: Any) -> Any:
        return keras.distribution.distribute_tensor(x, distribution.get_data_layout(x.shape))

    return keras.tree.map_structure(cut, batch)


def _tensorflow_strategy() -> ModuleType | None:
    """The module that knows `tf.distribute`, within `spread` on TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        return None
    from zorro_keras.applications.training.distribution import tensorflow_strategy

    return tensorflow_strategy if tensorflow_strategy.tf.distribute.has_strategy() else None


def _by_keras(config: TrainingConfig) -> tuple[Devices, AbstractContextManager[Any]]:
    distribution = _distribution(config)
    devices = Devices(distribution.device_mesh.devices.size, distribution.num_model_replicas)
    return devices, distribution.scope()


def _by_tensorflow(config: TrainingConfig) -> tuple[Devices, AbstractContextManager[Any]]:
    from zorro_keras.applications.training.distribution.tensorflow_strategy import make_strategy

    if config.distribute == "model":
        raise _refused("distribute", '"data" on TensorFlow: JAX splits the weights of a model', config)
    if config.steps_per_execution > 1:  # Keras' loop over them fails in copies: a cond within a while_loop
        raise _refused("steps_per_execution", '1 where TensorFlow spreads a run by "data"', config)
    strategy = make_strategy()
    count = strategy.num_replicas_in_sync
    # Alone it would change nothing but forbid the optimizer its condition.
    return Devices(count, count), strategy.scope() if count > 1 else nullcontext()


def _distribution(config: TrainingConfig) -> Any:
    devices = keras.distribution.list_devices()
    if config.distribute == "data":
        return keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
    model_devices = config.model_devices or len(devices)
    if len(devices) % model_devices:
        raise _refused("model_devices", f"a divisor of the {len(devices)} devices", config)
    return SplitKernels(devices, model_devices)


def _refused(name: str, expected: str, config: TrainingConfig) -> ConfigError:
    return ConfigError(
        f"`training.{name}` must be {expected}. Received: training.{name}={getattr(config, name)!r}",
        stage="config", reason="bad_value",
    )  # fmt: skip
