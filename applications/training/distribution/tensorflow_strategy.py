"""Spreads a run by `tf.distribute`: a copy of the model on each device, which computes its rows of a batch.

The copies take the same steps: what they add up is in `training/replicas.py`.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_SEED_BITS = 32  # of a seed; those above it tell the copies apart
_joined: list[tf.distribute.Strategy] = []  # the strategy that `join_workers` made, which a process does once


class _ForKeras:
    """Answers what Keras' `fit` asks of a strategy and `tf.distribute` refuses.

    That is the mean of a first batch, of which Keras wants the shapes, and of scalars over their first axis.
    """

    def reduce(self, reduce_op: Any, value: Any, axis: int | None) -> Any:
        """Returns one tensor for each nested one that all copies have."""
        reduce = super().reduce

        def reduced(value: Any) -> Any:
            local = self.experimental_local_results(value)[0]
            if local.dtype in (tf.bool, tf.string):
                return local
            return reduce(reduce_op, value, None if local.shape.rank == 0 else axis)

        return tf.nest.map_structure(reduced, value)


class _Devices(_ForKeras, tf.distribute.MirroredStrategy):
    """The devices of one machine."""


class _Workers(_ForKeras, tf.distribute.MultiWorkerMirroredStrategy):
    """Several machines: all GPUs of each, or its CPU."""


def join_workers(addresses: Sequence[str] | None, index: int | None) -> None:
    """Waits for the other workers. To be called before TensorFlow is asked for anything.

    Args:
        addresses: `host:port` of each worker. None takes them from `TF_CONFIG`.
        index: int. Which of them this is.

    Raises:
        RuntimeError, ValueError: if they do not find each other.
    """
    if addresses is None:
        if "TF_CONFIG" not in os.environ:
            raise ValueError("TF_CONFIG must be set where no address is given")
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    else:
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec({"worker": list(addresses)}),
            task_type="worker",
            task_id=index,
            num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
            rpc_layer="grpc",
        )
    _joined.append(_Workers(cluster_resolver=resolver))


def worker() -> tuple[int, int]:
    """Which worker this process is, from 0, and how many there are; (0, 1) without `join_workers`."""
    if not _joined:
        return 0, 1
    resolver = _joined[0].cluster_resolver
    jobs = resolver.cluster_spec().as_dict()
    workers = [*jobs.get("chief", []), *jobs.get("worker", [])]
    return workers.index(jobs[resolver.task_type][resolver.task_id]), len(workers)


def of_all_workers(number: int) -> list[int]:
    """Returns what each worker says, in their order. To be called by all of them."""
    of_devices = _gathering(_joined[0])(tf.constant([number], "int64")).numpy()
    return of_devices[:: len(_joined[0].extended.worker_devices)].tolist()


@functools.cache  # traced once: else it takes 35 times as long
def _gathering(strategy: tf.distribute.Strategy) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function of a number of this worker, `(1,)`, to those of all workers' devices, `(N,)`."""
    return tf.function(lambda number: strategy.gather(strategy.run(tf.identity, (number,)), axis=0))


def make_strategy() -> tf.distribute.Strategy:
    """Returns the strategy of the workers that joined, or one for the GPUs, else CPUs, of this machine."""
    if _joined:
        return _joined[0]
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return _strategy_of(tuple(device.name for device in devices))


@functools.cache  # each strategy counts its collective operations from 0, which those of a process share
def _strategy_of(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    return _Devices(list(devices))


def parts_of_copies(batches: tf.data.Dataset) -> Any:
    """Returns the rows of each batch that each device of this machine computes, as `fit` takes them.

    Args:
        batches: dataset of what this machine computes of a batch.
    """
    strategy = tf.distribute.get_strategy()
    count = len(strategy.extended.worker_devices)

    def parts(*batch: Any) -> tf.data.Dataset:
        batch = batch if len(batch) > 1 else batch[0]
        cut = tf.nest.map_structure(lambda value: tf.stack(tf.split(value, count)), batch)
        return tf.data.Dataset.from_tensor_slices(cut)

    cardinality = batches.cardinality()
    parts_in_order = batches.flat_map(parts).apply(
        tf.data.experimental.assert_cardinality(tf.where(cardinality < 0, cardinality, cardinality * count))
    )
    return strategy.distribute_datasets_from_function(lambda _: parts_in_order.prefetch(count))


class Predictor:
    """Asks all copies of a model on this machine, each about its rows, without training anything.

    Args:
        model: Keras model, made under the strategy.
    """

    def __init__(self, model: keras.Model) -> None:
        self.strategy = tf.distribute.get_strategy()
        self.count = len(self.strategy.extended.worker_devices)
        self.ask = tf.function(lambda x: self.strategy.run(model, (x,), {"training": False}), autograph=False)

    def __call__(self, x: Any) -> Any:
        """Returns the answers, nested arrays `(B, ...)`, to nested arrays `(B, ...)`."""
        parts = [
            tf.nest.map_structure(lambda value: np.split(value, self.count)[index], x)  # noqa: B023 (used here)
            for index in range(self.count)
        ]
        given = self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.nest.map_structure(
                tf.constant, parts[context.replica_id_in_sync_group % self.count]
            )
        )
        answers = self.ask(given)
        return tf.nest.map_structure(
            lambda *values: np.concatenate([value.numpy() for value in values]),
            *[self._of_copy(answers, index) for index in range(self.count)],
        )

    def _of_copy(self, answers: Any, index: int) -> Any:
        return tf.nest.map_structure(
            lambda value: self.strategy.experimental_local_results(value)[index], answers
        )


def prepare_copies(model: keras.Model) -> None:
    """Lets the copies of a model normalise by the whole batch, and draw different numbers, each for its rows.

    The first copy draws as one device would: its seeds are those of the checkpoints.
    """
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
    for variable in model.non_trainable_variables:
        if variable.path.endswith("seed_generator_state"):
            _draw_apart(variable.value)


def _draw_apart(state: tf.Variable) -> None:
    """Writes the number of a copy above the bits of its seed."""
    first_copy = worker()[0] * len(tf.distribute.get_strategy().extended.worker_devices)
    for place, copy in enumerate(tf.distribute.get_strategy().experimental_local_results(state)):
        seed, drawn = copy.numpy().tolist()
        copy.assign([seed % 2**_SEED_BITS + ((first_copy + place) << _SEED_BITS), drawn])
