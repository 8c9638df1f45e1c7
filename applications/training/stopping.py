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

    Args:
        model: the model that `fit` trains.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.signal: str | None = None

    def __call__(self, number: int) -> None:
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
def stop_requests(model: keras.Model) -> Iterator[StopRequest]:
    """Turns the first SIGTERM or SIGINT inside the block into a `StopRequest`; the second acts as before.

    Outside the main thread, where Python handles no signals, nothing changes.
    """
    request = StopRequest(model)
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
