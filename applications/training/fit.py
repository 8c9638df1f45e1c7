"""Trains a task with `model.fit`, so that a run killed at any moment ends as if nobody had killed it."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import keras
from rich.console import Console

from zorro_keras.applications.pipelines.faults import ConfigError, RunStoppedError, ZorroError
from zorro_keras.applications.training import checkpoint
from zorro_keras.applications.training.backend import precision, prepare_backend
from zorro_keras.applications.training.callbacks import (
    FirstStep,
    ProgressBar,
    Record,
    StopAtNonFinite,
    Validation,
    scalar_writer,
)
from zorro_keras.applications.training.config import TrainingConfig
from zorro_keras.applications.training.distribution.devices import (
    Devices,
    parts_of_devices,
    prepare_for_fit,
    spread,
)
from zorro_keras.applications.training.distribution.hosts import (
    check_same_start,
    dataset_of_host,
    folder_of_host,
    of_all_hosts,
    part_of_host,
    this_host,
)
from zorro_keras.applications.training.distribution.layouts import report_split
from zorro_keras.applications.training.ignored_files import report_ignored
from zorro_keras.applications.training.labels import label_names_of, with_checked_labels
from zorro_keras.applications.training.optimizer import build_optimizer
from zorro_keras.applications.training.run_folder import RunFolder
from zorro_keras.applications.training.run_identity import check_same_run, identity
from zorro_keras.applications.training.stopping import (
    StopRequest,
    StopTogether,
    StopWithinEpoch,
    stop_requests,
)
from zorro_keras.applications.training.task import task_module


def train(
    task: str,
    config: Any,
    data_path: str,
    run_dir: str,
    *,
    resume: bool = True,
    data_service: str | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Trains `task`, or goes on where a run in `run_dir` stopped.

    Each epoch is a fixed window of steps and ends in a checkpoint of every variable. The order and
    augmentation of the data are functions of (seed, step). So on one machine, with one set of versions, the
    final weights, optimizer and history do not depend on how often the run was killed or stopped. SIGTERM and
    SIGINT (Ctrl-C) stop it after the step under way, with a checkpoint, and all hosts that train together
    after the same step, whichever of them it came to; a second one does not wait for that.
    On several devices, and on other devices than before, the examples and their order are the same, and the
    numbers agree to rounding.

    Args:
        task: name of a package under `zorro_keras.applications`, such as `"audio_visual_classification"`.
        config: the task's `Config`.
        data_path: shards or a source.
        run_dir: folder of the run. Gets `config.json`, `checkpoints/`, `log.jsonl`, `tensorboard/` and
            `preset/`.
        resume: bool. False refuses a folder that already holds a run.
        data_service: optional `host:port` of a `tf.data` service whose workers read, decode and augment the
            training data, shards of clips at a path that they see, too. The batches and their order are the
            same.
        console: where to report. Standard error by default.

    Returns:
        Dict with `task`, `run`, `epochs`, `steps`, `resumed_from_epoch`, `seconds` and `metrics` of the last
        epoch.

    Raises:
        ConfigError: if the configuration does not fit the data, or is not the one the run was started with;
            if the data cannot be served, or nobody serves them.
        CheckpointError: if the run belongs to other data or another model, or cannot be written.
        TrainingError: if a loss or gradient is not finite, where the weights are those before the step named;
            if the data service is gone.
        RunStoppedError: if a signal asked the run to stop. It can go on.
    """
    started = time.perf_counter()
    console = console or Console(stderr=True)
    prepare_backend()
    if data_service is not None:
        data_path = os.path.abspath(data_path)  # that is where the workers look, wherever they were started
    with (
        folder_of_host(run_dir) as folder,
        folder.locked(),
        precision(config.training.mixed_precision),
    ):
        try:
            with spread(config.training, console) as devices:
                keras.utils.set_random_seed(config.training.seed)
                data = task_module(task, "data").open_data(data_path, config)
                check_same_run(folder, identity(task, config, data), resume, console)
                report_ignored(data, console)
                session = _Session.begin(task, config, data, folder, devices, console, data_service)
                session.run()
        except RunStoppedError:
            raise
        except ZorroError as error:
            folder.write_fault(error.to_json())
            raise
    return {
        "task": task,
        "run": str(run_dir),
        "epochs": config.training.epochs,
        "steps": session.steps_per_epoch * config.training.epochs,
        "resumed_from_epoch": session.first_epoch,
        "seconds": round(time.perf_counter() - started, 3),
        "metrics": session.history[-1]["metrics"],
    }


def steps_per_epoch(config: TrainingConfig, num_train: int) -> int:
    """Steps between two checkpoints.

    Raises:
        ConfigError: if there are fewer examples than a batch, or `steps_per_execution` does not divide the
            steps.
    """
    steps = config.steps_per_epoch or num_train // config.batch_size
    if steps == 0:
        raise ConfigError(
            f"`training.batch_size` must be at most the number of training examples, {num_train}. "
            f"Received: training.batch_size={config.batch_size}",
            stage="config", reason="bad_value",
        )  # fmt: skip
    if steps % config.steps_per_execution:
        raise ConfigError(
            f"`training.steps_per_execution` must divide the steps of an epoch, {steps}. "
            f"Received: training.steps_per_execution={config.steps_per_execution}",
            stage="config", reason="bad_value",
        )  # fmt: skip
    return steps


@dataclasses.dataclass
class _Session:
    """One process at work on a run: from the last checkpoint to the end."""

    task: str
    config: Any
    data: Any
    folder: RunFolder
    devices: Devices
    console: Console
    model: keras.Model
    steps_per_epoch: int
    first_step: int
    history: list[dict[str, Any]]
    metrics: list[Any] | None
    data_service: str | None
    first: FirstStep

    @property
    def first_epoch(self) -> int:
        """Epochs that were finished when this process began."""
        return self.first_step // self.steps_per_epoch

    @classmethod
    def begin(
        cls,
        task: str,
        config: Any,
        data: Any,
        folder: RunFolder,
        devices: Devices,
        console: Console,
        data_service: str | None,
    ) -> _Session:
        """Builds and compiles the model, and puts it back to the newest whole checkpoint."""
        training = config.training
        steps = steps_per_epoch(training, data.num_train)
        module = task_module(task, "model")
        model = module.build_model(config, label_names_of(data))
        report_split(model, console)
        model.compile(
            optimizer=build_optimizer(model, training, steps * training.epochs),
            jit_compile=training.jit_compile,
            steps_per_execution=training.steps_per_execution,
            auto_scale_loss=False,  # the optimizer does, and keeps its guard
        )
        found = checkpoint.newest(folder.checkpoints, say=console.print)
        check_same_start(0 if found is None else found.step)  # restoring already needs all hosts
        first_step, history, metrics = 0, [], None
        if found is not None:
            checkpoint.restore(found, model)
            first_step, history = found.step, list(found.state["history"])
            metrics = found.state.get("metrics")
            console.print(f"Going on after epoch {found.epoch} of {training.epochs} ({found.path.name}).")
            if (before := found.state.get("devices", 1)) != devices.count:
                console.print(f"Note: devices: {before} -> {devices.count}. The numbers agree to rounding.")
        elif hasattr(module, "start_weights"):
            started = module.start_weights(model, config)
            if started is not None:
                console.print(str(started))
        folder.rewrite_log(history)
        return cls(
            task,
            config,
            data,
            folder,
            devices,
            console,
            model,
            steps,
            first_step,
            history,
            metrics,
            data_service,
            FirstStep(console),
        )

    def run(self) -> None:
        """Trains the steps that are left and writes the preset."""
        epochs, whole_epochs = self.config.training.epochs, self.first_epoch
        with stop_requests(self.model, of_all_hosts if this_host().count > 1 else None) as request:
            if self.first_step % self.steps_per_epoch:  # stopped within an epoch: its rest comes first
                whole_epochs += 1
                self._fit(request, self.first_step, whole_epochs)
                # `fit` ends by putting the averages into the weights; what follows starts from before that.
                checkpoint.restore(checkpoint.newest(self.folder.checkpoints), self.model)
            if whole_epochs < epochs:
                self._fit(request, whole_epochs * self.steps_per_epoch, epochs)
            else:
                self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        if self.first_epoch < self.config.training.epochs or not self.folder.preset.exists():
            self.folder.replace_preset(self.model.save_to_preset)

    def _fit(self, request: StopRequest, first_step: int, epochs: int) -> None:
        """Trains from `first_step` to the end of `epochs`; what is left of the first epoch is its length."""
        training, model = self.config.training, self.model
        train_dataset, test_dataset, test_ids = self._datasets(first_step)
        if not self.folder.config_file.exists():  # not before: what was refused may be corrected
            self.folder.write_config(identity(self.task, self.config, self.data))
        bar = ProgressBar(training.epochs, self.steps_per_epoch, first_step, self.console)
        epoch_metrics = self._epoch_metrics(test_ids)
        validation = Validation(test_dataset, training.validate_every_epochs, training.epochs, epoch_metrics)
        record = Record(
            self.folder,
            self.history,
            {
                "backend": keras.backend.backend(),
                "data_fingerprint": self.data.fingerprint,
                "devices": self.devices.count,
            },
            steps_per_epoch=self.steps_per_epoch,
            batch_size=training.batch_size,
            write_scalars=scalar_writer(self.folder, self.history),
            first=self.first,
            validation=validation,
        )
        done = first_step % self.steps_per_epoch
        if done:  # TensorFlow makes the metrics in a first step; what they had counted is put back into them.
            keras.Model.evaluate(
                model, parts_of_devices(part_of_host(test_dataset.take(1))), steps=1, verbose=0
            )
        stop = StopWithinEpoch(request, record.save, self.steps_per_epoch, self.metrics if done else None)
        together = [StopTogether(request)] if request.of_all_hosts else []
        prepare_for_fit(model)
        with bar.shown(), _read_errors(self.data):
            # `keras.Model.fit`, because that of a keras-hub Task would preprocess the batches again.
            keras.Model.fit(
                model,
                parts_of_devices(train_dataset),
                epochs=epochs,
                initial_epoch=first_step // self.steps_per_epoch,
                steps_per_epoch=self.steps_per_epoch - done,
                callbacks=[self.first, StopAtNonFinite(model), *together, stop, validation, record, bar],
                shuffle=False,  # the data come in their own order
                verbose=0,
            )
        if len(self.history) < training.epochs:
            request.raise_if_asked(self.history[-1]["step"])

    def _epoch_metrics(self, test_ids: Any) -> Callable[..., dict[str, float]] | None:
        """The task's figures over a whole split; where an example is several rows, they are told which."""
        measure = getattr(task_module(self.task, "model"), "epoch_metrics", None)
        if measure is None or "window_ids" not in inspect.signature(measure).parameters:
            return measure
        return functools.partial(measure, window_ids=test_ids)

    def _datasets(self, first_step: int) -> tuple[Any, Any, Any]:
        module, training = task_module(self.task, "data"), self.config.training
        given = (self.data, self.config, self.model.preprocessor)
        train_dataset = self._training_dataset(module.training_dataset, given, first_step)
        test_dataset, ids = module.evaluation_dataset(*given, **self._faults(module.evaluation_dataset))
        names = label_names_of(self.data)
        if not names:
            return train_dataset, test_dataset, ids
        return (
            with_checked_labels(
                train_dataset,
                len(names),
                smoothing=training.label_smoothing,
                multi_label=getattr(self.model, "multi_label", False),
            ),
            with_checked_labels(test_dataset, len(names)),
            ids,
        )

    def _training_dataset(self, dataset: Callable[..., Any], given: tuple[Any, ...], first_step: int) -> Any:
        if self.data_service is None:
            return dataset_of_host(dataset, *given, start_step=first_step, **self._faults(dataset))
        # Imported here, because it imports TensorFlow.
        from zorro_keras.applications.pipelines.data_service import check_servable, served_batches

        check_servable(self.data)
        return served_batches(
            lambda steps: dataset_of_host(dataset, *given, steps=steps),
            first_step,
            self.data_service,
            self.data.faults,
            self.console.print,
        )

    def _faults(self, dataset: Callable[..., Any]) -> dict[str, Path]:
        """Where faults are written down, for those data that meet them while they are read."""
        takes = "faults_path" in inspect.signature(dataset).parameters
        return {"faults_path": self.folder.faults_file} if takes else {}


def _read_errors(data: Any) -> AbstractContextManager[None]:
    """Names the clip or shard behind an error of TensorFlow's data pipeline."""
    # Imported here, because it imports TensorFlow.
    from zorro_keras.applications.pipelines.host_errors import FaultSlot, host_errors

    return host_errors(getattr(data, "faults", None) or FaultSlot())
