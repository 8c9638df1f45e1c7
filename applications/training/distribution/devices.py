"""Spreads a run over the devices of its machine, by the engine that its backend has for that."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
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
    by rounding alone.

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
    if keras.backend.backend() != "jax":
        raise _refused("distribute", '"none" on this backend: only JAX spreads a run that way', config)
    distribution = _distribution(config)
    devices = Devices(distribution.device_mesh.devices.size, distribution.num_model_replicas)
    if config.batch_size % devices.replicas:
        raise _refused("batch_size", f"divisible by {devices.replicas}, the parts it is computed in", config)
    console.print(f"Training on {devices.count} devices: {devices.replicas} parts of a batch.")
    with distribution.scope():
        yield devices


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
