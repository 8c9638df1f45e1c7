"""Batches that other machines read and augment, by the `tf.data` service: the same, in the same order.

A worker of the service gives its batches in any order beside the others', and what it was at work on is lost
with it. So each batch carries its step, the trainer puts them in order, and reads itself what does not come.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from zorro_keras.applications.pipelines.clip_data import ClipData
from zorro_keras.applications.pipelines.data_worker import answers
from zorro_keras.applications.pipelines.faults import ConfigError, TrainingError
from zorro_keras.applications.pipelines.host_errors import FaultSlot, host_errors, watched_dataset
from zorro_keras.applications.pipelines.shards import ShardSet

# Batches that may come before one that is missing; they are held in memory. With each that was given up and
# comes after all it is one more, until there may be as many as workers beside a slow one.
FEW_EARLY = 16
# How long nothing may come. Workers that begin load TensorFlow and build the graph first.
SILENT_SECONDS = 300.0
_LAST_STEP = 2**62
_ALIVE_SECONDS = 5.0  # between two looks whether the service is still there

Build = Callable[[tf.data.Dataset], tf.data.Dataset]


def served_batches(
    build: Build, first_step: int, service: str, faults: FaultSlot, say: Callable[[str], None]
) -> tf.data.Dataset:
    """The endless batches of training from `first_step` on, made by the workers of a service.

    Args:
        build: function from a dataset of steps, int64 scalars, to a dataset of `(step, batch)`, of TensorFlow
            ops alone. It is run by the workers, which see the files that it reads by the same paths; and here
            for steps that are lost.
        first_step: int.
        service: `host:port` of the dispatcher.
        faults: `FaultSlot`. Receives the error that ends the data set.
        say: function that is told of batches that did not come: while they are read here, training waits.

    Returns:
        Dataset of what `build` gives, without the steps.

    Raises:
        ConfigError: if nobody answers there. While it is read:
        TrainingError: if the service is gone, or nothing comes for `SILENT_SECONDS`.
    """
    address = service.removeprefix("grpc://")
    if not answers(address):
        raise ConfigError(
            f"`data_service` must be the address of one that runs. Received: data_service={service}",
            stage="config", reason="bad_value",
            advice="Start it with `zorro-keras feed`, and give HOST:PORT as it prints it.",
        )  # fmt: skip
    signature = build(tf.data.Dataset.range(first_step, first_step + 1)).element_spec[1]

    def generate() -> Iterator[Any]:
        with host_errors(faults), contextlib.closing(_Served(build, first_step, address)) as served:
            yield from _in_order(served, build, first_step, say)

    return watched_dataset(generate, signature, faults).prefetch(tf.data.AUTOTUNE)


def check_servable(data: Any) -> None:
    """Refuses data that the workers of a service cannot read.

    Files that are decoded by processes or threads of Python cannot: a graph that calls Python runs nowhere
    but in the process that made it.

    Raises:
        ConfigError: if the data are not shards.
    """
    if not (isinstance(data, ClipData) and isinstance(data.origin, ShardSet)):
        raise ConfigError(
            "`data_service` needs shards of clips, which TensorFlow reads by itself; other data are read by "
            f"Python, which a service cannot run. Received: {type(data).__name__} without shards",
            stage="config", reason="bad_value",
            advice="Pack clips by `zorro-keras prepare`, or train without `--data-service`.",
        )  # fmt: skip


def _in_order(served: _Served, build: Build, first_step: int, say: Callable[[str], None]) -> Iterator[Any]:
    """The batches of `served` in the order of their steps, with those of `build` for what is missing."""
    early: dict[int, Any] = {}
    given_up: set[int] = set()
    limit = FEW_EARLY
    for step in itertools.count(first_step):
        while step not in early:
            if len(early) >= limit:
                say(f"Note: batch {step} has not come from the data service: it is read here.")
                early[step] = _read_here(build, step)
                given_up.add(step)
                continue
            number, batch = served.next()
            if number >= step:
                early[number] = batch
            elif number in given_up:
                given_up.remove(number)
                limit += 1
        yield early.pop(step)


def _read_here(build: Build, step: int) -> Any:
    ((_, batch),) = build(tf.data.Dataset.from_tensors(tf.constant(step, tf.int64)))
    return batch


class _Served:
    """What comes from the workers, as it comes. A thread waits for it: TensorFlow would wait for ever."""

    def __init__(self, build: Build, first_step: int, address: str) -> None:
        self._address = address
        self._batches = build(tf.data.Dataset.range(first_step, _LAST_STEP)).apply(
            tf.data.experimental.service.distribute(
                # Each step goes to one worker, whichever asks next.
                processing_mode=tf.data.experimental.service.ShardingPolicy.DYNAMIC,
                service=f"grpc://{address}",
            )
        )
        self._come: queue.Queue[Any] = queue.Queue(maxsize=1)
        self._is_closed = threading.Event()
        threading.Thread(target=self._wait, name="data_service", daemon=True).start()

    def next(self) -> tuple[int, Any]:
        """The next batch and its step, or the error that a worker met."""
        silent = 0.0
        while silent < SILENT_SECONDS:
            try:
                come = self._come.get(timeout=_ALIVE_SECONDS)
            except queue.Empty:
                silent += _ALIVE_SECONDS
                if not answers(self._address):
                    break
                continue
            if isinstance(come, BaseException):
                raise come
            return int(come[0]), come[1]
        what = f"has given nothing for {SILENT_SECONDS} s" if answers(self._address) else "is gone"
        raise TrainingError(
            f"The data service {what}. Received: data_service={self._address}",
            stage="train", reason="incomplete",
            advice="Start it again, then give the same command: the run goes on.",
        )  # fmt: skip

    def close(self) -> None:
        """Lets the thread end, with the batch that it waits for."""
        self._is_closed.set()

    def _wait(self) -> None:
        try:
            for come in self._batches:
                if not self._hand_over(come):
                    return
        except Exception as error:
            self._hand_over(error)

    def _hand_over(self, come: Any) -> bool:
        while not self._is_closed.is_set():
            with contextlib.suppress(queue.Full):
                self._come.put(come, timeout=1.0)
                return True
        return False
