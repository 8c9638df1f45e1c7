"""Ends a run in order when the system or a person asks: after the step under way, with a checkpoint."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

import keras
import numpy as np

from zorro_keras.applications.pipelines.faults import RunStoppedError
from zorro_keras.applications.training.replicas import array_of

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """Remembers the first signal that asked `model.fit` to stop, and lets the step under way be its last.

    Hosts that train together must end with one step: each would wait in the next for those that have ended.

    Args:
        model: the model that `fit` trains.
        of_all_hosts: optional function of an int that returns those of all hosts, on all of them; `None`
            where this one trains alone.

    Attributes:
        signal: str, its name, once all hosts know of it; `None` before.
    """

    def __init__(self, model: keras.Model, of_all_hosts: Callable[[int], list[int]] | None = None) -> None:
        self.model, self.of_all_hosts = model, of_all_hosts
        self.signal: str | None = None
        self._came_here = 0

    def __call__(self, number: int) -> None:
        self._came_here = number
        if self.of_all_hosts is None:
            self._stop(number)

    def tell_hosts(self) -> None:
        """Stops all hosts if a signal came to any of them. To be called by all of them after one step."""
        if number := max(self.of_all_hosts(self._came_here)):
            self._stop(number)

    def _stop(self, number: int) -> None:
        self.signal = signal.Signals(number).name
        self.model.stop_training = True

    def raise_if_asked(self, step: int) -> None:
        """Raises RunStoppedError, naming the step whose state is saved, if a signal came."""
        if self.signal is not None:
            raise RunStoppedError(
                f"{self.signal} came: the run stopped after step {step}, and is saved.",
                stage="train", reason="stopped",
            )  # fmt: skip


@contextmanager
def stop_requests(
    model: keras.Model, of_all_hosts: Callable[[int], list[int]] | None = None
) -> Iterator[StopRequest]:
    """Turns the first SIGTERM or SIGINT inside the block into a `StopRequest`; the second acts as before.

    Outside the main thread, where Python handles no signals, nothing changes.
    """
    request = StopRequest(model, of_all_hosts)
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def handle(number: int, frame: FrameType | None) -> None:
        restore()
        request(number)

    for number in _SIGNALS:
        signal.signal(number, handle)
    try:
        yield request
    finally:
        restore()


class StopTogether(keras.callbacks.Callback):
    """Asks the other hosts after each step, which it waits for, whether one of them is to stop.

    Args:
        request: `StopRequest`.
    """

    def __init__(self, request: StopRequest) -> None:
        super().__init__()
        self.request = request

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.request.tell_hosts()


class StopWithinEpoch(keras.callbacks.Callback):
    """Saves a run that was asked to stop within an epoch, and starts one that was stopped there.

    Must come before the callbacks that take the end of an epoch for a whole one.

    Args:
        request: `StopRequest`.
        save: function of (finished epochs, step, metrics) that writes a checkpoint.
        steps_per_epoch: int.
        metrics: optional list of what the metrics had counted when the run was stopped, from a checkpoint.
    """

    def __init__(
        self,
        request: StopRequest,
        save: Callable[[int, int, list[Any]], None],
        steps_per_epoch: int,
        metrics: list[Any] | None = None,
    ) -> None:
        super().__init__()
        self.request, self.save, self.steps_per_epoch, self.metrics = request, save, steps_per_epoch, metrics

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        if self.request.signal is not None:  # It came before `fit`, which then cleared `stop_training`.
            self.model.stop_training = True

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self.metrics is not None:
            for variable, value in zip(self.model.metrics_variables, self.metrics, strict=True):
                variable.assign(np.asarray(value, variable.dtype))
        self.metrics = None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        step = int(array_of(self.model.optimizer.iterations))
        if self.request.signal is not None and step % self.steps_per_epoch:
            counted = [array_of(variable).tolist() for variable in self.model.metrics_variables]
            self.save(epoch, step, counted)
            self.request.raise_if_asked(step)
