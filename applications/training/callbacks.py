"""What happens at the end of each step and of each epoch: guard, validation, checkpoint, logs, progress."""

from __future__ import annotations

import inspect
import json
import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from zorro_keras.applications.pipelines.faults import TrainingError
from zorro_keras.applications.training import checkpoint
from zorro_keras.applications.training.distribution.devices import parts_of_devices, predictor
from zorro_keras.applications.training.distribution.hosts import part_of_host
from zorro_keras.applications.training.replicas import array_of
from zorro_keras.applications.training.run_folder import RunFolder, full_disk_named

EpochMetrics = Callable[..., dict[str, float]]


class StopAtNonFinite(keras.callbacks.Callback):
    """Ends the run when the optimizer has discarded an update, naming the step.

    A bad loss ends the epoch early. A bad gradient under a finite loss shows at the end of the epoch; the
    weights have not moved since.
    """

    async_safe = True  # batch hooks run in a thread, so that Keras need not wait for the device at each step

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        # There `self.model` is out of bounds: on JAX it moves the training state under the running step.
        self._trained = model

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            self._trained.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        optimizer = self.model.optimizer
        if _scalar(optimizer.halted) or not math.isfinite((logs or {}).get("loss", 0.0)):
            step = _scalar(optimizer.iterations) + 1
            raise TrainingError(
                f"The loss or a gradient is not finite at step {step}. The update was discarded.",
                row=f"step {step}", stage="train", reason="non_finite_loss",
            )  # fmt: skip


class FirstStep(keras.callbacks.Callback):
    """Says how long the first step of a process took: its batch, tracing, compiling and the step itself.

    With `steps_per_execution` it is the first execution.

    Args:
        console: is told.

    Attributes:
        seconds: float, from the beginning of `fit`; `None` before the step has ended.
        written: bool, whether a row of the log has them.
    """

    async_safe = True

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console, self.seconds, self.written = console, None, False
        self._started = 0.0

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        if self.seconds is None:
            self._started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self.seconds is None:
            float((logs or {}).get("loss", 0.0))  # not there before the device is done
            self.seconds = round(time.perf_counter() - self._started, 3)
            self.console.print(f"first step after {self.seconds:.1f} s", highlight=False)


class Validation(keras.callbacks.Callback):
    """Adds `val_...` entries to the logs of an epoch, measured with the averaged weights where there are any.

    Args:
        dataset: finite dataset of `(x, y, sample_weight)` batches.
        every_epochs: int. The last epoch is always validated.
        epochs: int. Epochs of the whole run.
        epoch_metrics: optional function of all `(predictions, y, sample_weight)` as arrays, for metrics that
            are not sums over batches; returns name -> value. It may take `presence`, that of `x`.

    Attributes:
        seconds: float, what it took after the last epoch; 0 where that was not validated.
    """

    def __init__(
        self, dataset: Any, every_epochs: int, epochs: int, epoch_metrics: EpochMetrics | None = None
    ) -> None:
        super().__init__()
        self.dataset, self.epoch_metrics = dataset, epoch_metrics
        self.every_epochs, self.epochs = every_epochs, epochs
        num_batches = int(dataset.cardinality())
        self._steps = num_batches if num_batches >= 0 else None
        self._ask: Callable[[Any], Any] | None = None
        self.seconds = 0.0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        started = time.perf_counter()
        is_due = (epoch + 1) % self.every_epochs == 0 or epoch + 1 >= self.epochs
        if is_due:
            logs.update(self._measured())
        self.seconds = time.perf_counter() - started if is_due else 0.0

    def _measured(self) -> dict[str, Any]:
        with averaged_weights(self.model):
            # `keras.Model.evaluate`, because that of a keras-hub Task would preprocess the batches again.
            batches = parts_of_devices(part_of_host(self.dataset))
            values = keras.Model.evaluate(self.model, batches, steps=self._steps, verbose=0, return_dict=True)
            if self.epoch_metrics is not None:
                values.update(self._epoch_values(self.epoch_metrics))
        return {f"val_{name}": value for name, value in values.items()}

    def _epoch_values(self, epoch_metrics: EpochMetrics) -> dict[str, float]:
        batches, labels, weights, presence = [], [], [], []
        takes_presence = "presence" in inspect.signature(epoch_metrics).parameters
        self._ask = self._ask or predictor(self.model)
        for x, y, sample_weight in self.dataset.as_numpy_iterator():
            outputs = self._ask(x)
            batches.append(outputs if isinstance(outputs, dict) else {"output": outputs})
            labels.append(y)
            weights.append(sample_weight)
            if takes_presence:
                presence.append(x["presence"])
        also = {"presence": _joined(presence)} if takes_presence else {}
        return epoch_metrics(_joined(batches), _joined(labels), _joined(weights), **also)


class Record(keras.callbacks.Callback):
    """Writes the checkpoint of a finished epoch, then its row in `log.jsonl` and its TensorBoard scalars.

    A row is `{"epoch", "step", "metrics", "timing"}`. `timing` alone may differ when a run was killed: only
    the first row of a process tells of its first step.

    Args:
        folder: the run.
        history: list of rows; extended in place.
        state: what each checkpoint remembers beside tensors and history.
        steps_per_epoch: int.
        batch_size: int.
        write_scalars: function of a row.
        first: is asked for the seconds of the first step.
        validation: is asked for its seconds, which are not those of training.

    Raises:
        TrainingError: if an epoch had fewer steps than planned: the data ended.
    """

    def __init__(
        self,
        folder: RunFolder,
        history: list[dict[str, Any]],
        state: Mapping[str, Any],
        *,
        steps_per_epoch: int,
        batch_size: int,
        write_scalars: Callable[[Mapping[str, Any]], None],
        first: FirstStep,
        validation: Validation,
    ) -> None:
        super().__init__()
        self.folder, self.history, self.state = folder, history, state
        self.steps_per_epoch, self.batch_size, self.write_scalars = steps_per_epoch, batch_size, write_scalars
        self.first, self.validation = first, validation
        self._started, self._first_step = 0.0, 0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._started, self._first_step = time.perf_counter(), _scalar(self.model.optimizer.iterations)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        optimizer = self.model.optimizer
        step, planned = _scalar(optimizer.iterations), (epoch + 1) * self.steps_per_epoch
        if step != planned:
            raise TrainingError(
                f"The training data ended too early. Expected: step {planned}. Received: step {step}",
                stage="train", reason="incomplete",
            )  # fmt: skip
        seconds = time.perf_counter() - self._started - self.validation.seconds
        examples = (step - self._first_step) * self.batch_size
        metrics = {"learning_rate": _scalar(optimizer.learning_rate), **(logs or {})}
        row = {
            "epoch": epoch + 1,
            "step": step,
            "metrics": {name: _json_number(value) for name, value in metrics.items()},
            "timing": {
                "seconds": round(seconds, 3),
                "examples_per_second": round(examples / seconds, 3),
                "validation_seconds": round(self.validation.seconds, 3),
            },
        }
        if not self.first.written:
            row["timing"]["first_step_seconds"], self.first.written = self.first.seconds, True
        self.history.append(row)
        self.save(epoch + 1, step)
        with full_disk_named(self.folder.log_file), open(self.folder.log_file, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        self.write_scalars(row)

    def save(self, epoch: int, step: int, metrics: list[Any] | None = None) -> None:
        """Writes a checkpoint after `epoch` whole epochs; within the next, with what its metrics counted."""
        state = {**self.state, "epoch": epoch, "history": self.history, "metrics": metrics}
        checkpoint.save(self.folder.checkpoints, self.model, step=step, state=state)


class ProgressBar(keras.callbacks.Callback):
    """A bar with loss and time remaining on a terminal, one line per epoch elsewhere.

    Args:
        epochs: int. Epochs of the whole run.
        steps_per_epoch: int.
        first_step: int. Steps done before.
        console: where to write.
    """

    async_safe = True

    def __init__(self, epochs: int, steps_per_epoch: int, first_step: int, console: Console) -> None:
        super().__init__()
        self.epochs, self.steps_per_epoch, self.console = epochs, steps_per_epoch, console
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("compiling", total=epochs * steps_per_epoch)
        self._first_step = first_step

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Shows the bar; puts the terminal back however the block ends."""
        with self._bar:
            yield

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._first_step = max(self._first_step, epoch * self.steps_per_epoch)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        done = self._first_step + batch + 1
        loss = (logs or {}).get("loss", math.nan)
        text = f"epoch {self._first_step // self.steps_per_epoch + 1} of {self.epochs}, loss {loss:.4f}"
        self._bar.update(self._task, completed=done, description=text)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        values = ", ".join(
            f"{name} {_short(value)}" for name, value in (logs or {}).items() if _headline(name)
        )
        self.console.print(f"epoch {epoch + 1}/{self.epochs}: {values}", highlight=False, soft_wrap=True)


def _joined(batches: list[Any]) -> Any:
    """Batches as one: arrays one after another, in whatever nest of dicts they stand."""
    return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *batches)


def _headline(name: str) -> bool:
    """Whether a metric is worth a person's glance once an epoch; `log.jsonl` has them all."""
    return name in ("loss", "val_loss") or (name.startswith("val_") and name.endswith("accuracy"))


@contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Puts the averaged weights into `model` for a while. Without averages it changes nothing."""
    averages = model.optimizer.averages()
    kept = [np.array(array_of(weight)) for weight in model.trainable_variables if averages]
    for weight, average in zip(model.trainable_variables, averages, strict=bool(averages)):
        # A copy: on JAX two variables must not share a buffer, since training donates each of them.
        weight.assign(np.array(array_of(average)))
    try:
        yield
    finally:
        for weight, value in zip(model.trainable_variables, kept, strict=bool(averages)):
            weight.assign(value)


def scalar_writer(folder: RunFolder, history: list[dict[str, Any]]) -> Callable[[Mapping[str, Any]], None]:
    """A function that writes a row's metrics for TensorBoard, after replaying `history` into an empty log."""
    import tensorflow as tf

    shutil.rmtree(folder.tensorboard, ignore_errors=True)
    writer = tf.summary.create_file_writer(str(folder.tensorboard))
    # What `tf.summary.scalar` would add; that function needs the tensorboard package to be installed.
    plugin = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
    metadata = tf.compat.v1.SummaryMetadata(plugin_data=plugin)

    def write(row: Mapping[str, Any]) -> None:
        with writer.as_default():
            for name, value in row["metrics"].items():
                if value is not None:
                    tf.summary.write(
                        name, tf.constant(value, tf.float32), step=row["step"], metadata=metadata
                    )
        writer.flush()

    for row in history:
        write(row)
    return write


def _scalar(variable: Any) -> Any:
    """The Python number in a scalar variable or tensor."""
    return array_of(variable).item()


def _json_number(value: float) -> float | None:
    """JSON has no NaN: a metric that is undefined becomes null."""
    return float(value) if math.isfinite(value) else None


def _short(value: float) -> str:
    return f"{value:.4f}"
