"""The command line: `zorro-keras COMMAND ...`. Nothing here imports Keras before the backend is set."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import inspect
import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import tyro
from tyro.conf import Positional, UseAppendAction, arg

from zorro_keras.applications.convert import ConvertOptions, convert
from zorro_keras.applications.freed_memory import keep_freed_memory
from zorro_keras.applications.kept_barriers import keep_barriers
from zorro_keras.applications.pipelines.faults import ConfigError, ZorroError
from zorro_keras.applications.training.task import TASKS

Backend = Literal["jax", "tensorflow", "torch"]
Distribute = Literal["none", "data", "model"]
Grid = Literal["even", "released"]
Format = Literal["saved_model", "tf_serving", "onnx", "litert"]
Task = Annotated[Positional[str], arg(metavar="TASK", help=f"One of {', '.join(TASKS)}.")]
Model = Annotated[Positional[Path], arg(metavar="RUN", help="Folder of a run, or of a preset.")]
Sources = Annotated[UseAppendAction[tuple[Path, ...]], arg(metavar="PATH")]
Overrides = Annotated[UseAppendAction[tuple[str, ...]], arg(name="set", metavar="KEY=VALUE")]


@dataclasses.dataclass(frozen=True)
class Doctor:
    """Says what is installed, what works, and what to do about the rest."""

    backend: Backend | None = None
    """Backend to look at."""

    def run(self) -> int:
        from zorro_keras.applications.doctor import doctor

        return doctor()


@dataclasses.dataclass(frozen=True)
class Clips:
    """Writes real video clips that need both ears and eyes: 8 event classes with known ceilings."""

    out: Positional[Path]
    """Folder to write."""
    count: int = 960
    """Training clips."""
    seed: int = 0
    """Decides every clip."""

    def run(self) -> int:
        from zorro_keras.applications.pipelines.generated_clips import generate_clips

        with _progress("clips") as on_progress:
            generate_clips(str(self.out), count=self.count, seed=self.seed, on_progress=on_progress)
        return 0


@dataclasses.dataclass(frozen=True)
class Prepare:
    """Packs sound and video into shards, and reports which were used, which skipped, and why."""

    task: Task
    source: Sources
    """Public data set, class folders, CSV, list of paths or ids, or shards of another library. May be given
    again: the clips of several are mixed, without labels unless all have the same."""
    out: Path
    """Folder for the shards."""
    sample_rate_hz: int = 16_000
    """Sound is resampled to this."""
    frame_rate_hz: float = 25.0
    """Pictures kept per second."""
    shorter_side_px: int = 256
    """Pictures are scaled to this, their shape is kept."""
    max_seconds: float = 10.0
    """Longer clips are cut here."""
    num_workers: int = 2
    """Processes that decode."""
    max_worker_bytes: int | None = 4 * 2**30
    """Memory each of them may use. `None` is no limit."""
    on_error: Literal["raise", "skip", "drop_modality"] = "skip"
    """What to do with a damaged clip."""
    max_bad_fraction: float = 0.01
    """Share of bad clips that stops the run."""
    test_fold: int | None = None
    """Fold of ESC-50 that is tested. 1 by default."""

    def run(self) -> int:
        from zorro_keras.applications.training.task import task_module

        settings = dataclasses.asdict(self)
        task, source, out = (settings.pop(name) for name in ("task", "source", "out"))
        if not source:
            raise ConfigError("Give at least one `--source`.", stage="command", reason="bad_value")
        prepare = getattr(task_module(task, "commands"), "prepare", None)
        if prepare is None:
            raise ConfigError(
                f"`{task}` has nothing to prepare: it reads its data as they are.",
                stage="command", reason="bad_value",
                advice=f"Give them to `zorro-keras train {task} --data`.",
            )  # fmt: skip
        with _progress("clips") as on_progress:
            return _show(prepare(source, out, **settings, on_progress=on_progress))


@dataclasses.dataclass(frozen=True)
class Train:
    """Trains a model, or goes on where the run stopped: the result is the same, bit for bit, on one CPU."""

    task: Task
    out: Path
    """Folder of the run."""
    data: Path | None = None
    """Shards or a source. By default the small data that the task makes for itself, if it does."""
    config: str = "tiny"
    """Named configuration of the task."""
    overrides: Overrides = ()
    """Changes one setting, such as training.epochs=3. May be given again."""
    distribute: Distribute | None = None
    """Spreads the run over all devices: by data, or by model, whose weights are split. As the setting
    training.distribute."""
    coordinator: str | None = None
    """HOST:PORT of process 0, where several hosts train together and see one folder of the run; on TensorFlow
    those of all processes, separated by commas. Or runtime, where the runtime of a TPU or a cluster knows,
    on TensorFlow by TF_CONFIG. Give --distribute data with it."""
    num_processes: int | None = None
    """Processes that train together."""
    process_id: int | None = None
    """Which of them this is, from 0."""
    data_service: str | None = None
    """HOST:PORT of `zorro-keras feed`, whose workers read, decode and augment the shards of --data."""
    backend: Backend | None = None
    """Keras backend."""
    resume: bool = True
    """Whether to go on with a run that is already in the folder."""

    def run(self) -> int:
        from zorro_keras.applications.training.config import apply_overrides
        from zorro_keras.applications.training.task import named_config

        overrides = self.overrides
        if self.distribute is not None:
            overrides = (*overrides, f"training.distribute={self.distribute}")
        config = apply_overrides(named_config(self.task, self.config), overrides)
        if self.coordinator is not None:
            from zorro_keras.applications.training.distribution.hosts import join

            join(self.coordinator, self.num_processes, self.process_id)
        elif (self.num_processes, self.process_id) != (None, None):
            raise ConfigError(
                "`--num-processes` and `--process-id` need `--coordinator`. Received: no coordinator",
                stage="command", reason="bad_value",
            )  # fmt: skip
        from zorro_keras.applications.training.fit import train
        from zorro_keras.applications.training.task import make_default_data

        data = make_default_data(self.task, self.out) if self.data is None else self.data
        options = {"resume": self.resume, "data_service": self.data_service}
        return _show(train(self.task, config, str(data), str(self.out), **options))


@dataclasses.dataclass(frozen=True)
class Feed:
    """Reads, decodes and augments clips for a training on another machine, until it is stopped.

    Whoever reaches its ports can let it read files and compute: keep them within a network that you trust."""

    join: str | None = None
    """HOST:PORT of a service that runs, to work for it. By default this begins one."""
    port: int | None = None
    """Where the service that this begins listens. By default 5050."""
    host: str = dataclasses.field(default_factory=socket.gethostname)
    """Name of this machine for the others."""
    worker_port: int = 0
    """Where this worker listens. By default any port that is free."""

    def run(self) -> int:
        from zorro_keras.applications.pipelines.data_worker import start_worker

        address, _servers = start_worker(**dataclasses.asdict(self))
        print(f"Data service: {address}", flush=True)
        threading.Event().wait()  # Ctrl-C and SIGTERM end it
        return 0


@dataclasses.dataclass(frozen=True)
class Plan:
    """Says, by JAX, what a configuration takes before it is run: shapes, FLOPs, memory, a batch that fits."""

    task: Task
    config: str = "tiny"
    """Named configuration of the task."""
    overrides: Overrides = ()
    """Changes one setting, such as model.remat=true. May be given again."""
    batch_size: int | None = None
    """Examples in a step. By default those of the configuration."""
    device: str | None = None
    """Memory of a device, such as 16GB or 80GiB, for which the largest batch is looked for."""
    classes: int | None = None
    """Classes of the data. By default those of the data that the configuration is made for."""
    json: bool = False
    """Prints JSON instead of tables."""
    backend: ClassVar[Backend] = "jax"

    def run(self) -> int:
        from zorro_keras.applications.plan.sizes import bytes_of

        device_bytes = None if self.device is None else bytes_of(self.device)
        if importlib.util.find_spec("jax") is None:
            raise ConfigError(
                "A plan is made by JAX, whatever the run trains on.", stage="command", reason="missing_file",
                advice="pip install 'zorro-keras[jax]'",
            )  # fmt: skip
        from zorro_keras.applications.plan.command import plan
        from zorro_keras.applications.plan.tables import show

        planned = plan(
            self.task,
            self.config,
            self.overrides,
            batch_size=self.batch_size,
            device_bytes=device_bytes,
            num_classes=self.classes,
        )
        if self.json:
            return _show(planned)
        show(planned)
        return 0


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Writes the report of a run; of a model of sound and picture, what each head knows from each of them."""

    run_dir: Annotated[Positional[Path], arg(metavar="RUN")]
    """Folder of the run."""
    data: Path | None = None
    """Shards or a source. By default the data that the task made for the run."""
    streams: str | None = None
    """One subset of the streams, separated by commas, such as audio,video. All subsets by default."""
    out: Path | None = None
    """Folder of the report. RUN/report by default."""
    max_megabytes: float | None = None
    """The most memory that a batch may take beside the weights, for a model that can keep to it."""
    grid: Grid | None = None
    """How tiles are spread over a picture, for optical flow: evenly by default, or as published."""
    backend: Backend | None = None
    """Keras backend."""

    def run(self) -> int:
        from zorro_keras.applications.training.task import commands_of, default_data

        evaluate = commands_of(self.run_dir).evaluate
        streams = None if self.streams is None else tuple(self.streams.split(","))
        options = _accepted(
            evaluate,
            streams=("`--streams`", streams),
            max_megabytes=("`--max-megabytes`", self.max_megabytes),
            grid=("`--grid`", self.grid),
        )
        data = default_data(self.run_dir) if self.data is None else self.data
        return _show(evaluate(self.run_dir, data, out=self.out, **options))


@dataclasses.dataclass(frozen=True)
class Predict:
    """Prints what a model says of a file, a folder or a text; writes the timeline or the flow of a video."""

    folder: Model
    source: Positional[str]
    """Video, sound or image file, folder of images, or text: whatever the model reads."""
    second: Positional[str | None] = None
    """Second image file, for a model that compares two."""
    audio_only: bool = False
    """Looks at the sound alone."""
    video_only: bool = False
    """Looks at the picture alone."""
    timeline: Path | None = None
    """Folder for a timeline (CSV and plot) of the whole file."""
    top: int | None = None
    """Classes to print per head. 5 by default."""
    out: Path | None = None
    """Folder for what a model makes, such as a rebuilt clip or flow. By default named after the source."""
    max_megabytes: float | None = None
    """The most memory that a batch may take beside the weights, for a model that can keep to it."""
    grid: Grid | None = None
    """How tiles are spread over a picture, for optical flow: evenly by default, or as published."""
    backend: Backend | None = None
    """Keras backend."""

    def run(self) -> int:
        if self.audio_only and self.video_only:
            raise ConfigError(
                "`--audio-only` and `--video-only` exclude each other.", stage="command", reason="bad_value"
            )
        from zorro_keras.applications.training.task import commands_of

        predict = commands_of(self.folder).predict
        streams = ("audio",) if self.audio_only else ("video",) if self.video_only else None
        flag = "`--audio-only`" if self.audio_only else "`--video-only`"
        options = _accepted(
            predict,
            second=(f"A second source, `{self.second}`,", self.second),
            streams=(flag, streams),
            timeline=("`--timeline`", self.timeline),
            top=("`--top`", self.top),
            out=("`--out`", self.out),
            max_megabytes=("`--max-megabytes`", self.max_megabytes),
            grid=("`--grid`", self.grid),
        )
        return predict(self.folder, self.source, **options)


@dataclasses.dataclass(frozen=True)
class Embed:
    """Makes an index of clips that can be searched by sound or by picture."""

    source: Positional[Path]
    """Folder of media files, with class folders or without, what else `prepare` takes, or shards."""
    index: Positional[Path]
    """Folder to write. An earlier index there is replaced."""
    model: Path
    """Folder of a run of audio_visual_pretraining, or of a preset."""
    batch_size: int = 32
    """Clips that are asked together."""
    num_workers: int = 2
    """Processes that decode."""
    max_bad_fraction: float = 1.0
    """Share of bad clips that stops it."""
    backend: Backend | None = None
    """Keras backend."""

    def run(self) -> int:
        from zorro_keras.applications.training.task import commands_of

        commands = commands_of(self.model)
        if not hasattr(commands, "embed"):
            raise ConfigError(
                f"`{commands.__name__.split('.')[-2]}` makes no embeddings to search by.",
                path=self.model, stage="command", reason="bad_value",
                advice="Give a model of audio_visual_pretraining.",
            )  # fmt: skip
        settings = dataclasses.asdict(self)
        source, index, _ = (settings.pop(name) for name in ("source", "index", "backend"))
        with _progress("clips") as on_progress:
            return _show(commands.embed(source, index, **settings, on_progress=on_progress))


@dataclasses.dataclass(frozen=True)
class Search:
    """Finds in an index the pictures that go with a sound, or the sounds that go with a picture."""

    index: Positional[Path]
    """Folder that `embed` wrote."""
    audio: Path | None = None
    """File whose sound finds pictures."""
    video: Path | None = None
    """File whose picture finds sounds. With --audio, both together find clips like them."""
    top: int = 10
    """Hits to show."""
    out: Path | None = None
    """Folder for the hits as HTML and JSON. By default named after the file asked."""
    backend: Backend | None = None
    """Keras backend."""

    def run(self) -> int:
        from zorro_keras.applications.training.task import task_module

        search = task_module("audio_visual_pretraining", "commands").search
        return search(self.index, audio=self.audio, video=self.video, top=self.top, out=self.out)


@dataclasses.dataclass(frozen=True)
class Export:
    """Writes a SavedModel, ONNX or LiteRT that needs neither Keras nor this library, and a parity report."""

    folder: Model
    out: Positional[Path]
    """Folder of the export."""
    format: Format = "saved_model"
    """SavedModel, the same in a folder for TF Serving, or a file for each endpoint."""
    int8: bool = False
    """Turns the kernels into int8."""
    native: bool = False
    """Exports from the present backend instead of writing a TensorFlow graph."""
    tolerance: float | None = None
    """Largest difference from the model. 1e-4 by default, 0.25 with --int8."""
    inputs: Path | None = None
    """File of arrays (.npz), by the names of an endpoint's inputs: the report compares on them, too."""
    backend: Backend | None = None
    """Keras backend."""

    def run(self) -> int:
        from zorro_keras.applications.training.export import export_run
        from zorro_keras.applications.training.parity_inputs import read_inputs

        options = dataclasses.asdict(self)
        folder, out, inputs, _ = (options.pop(name) for name in ("folder", "out", "inputs", "backend"))
        given = None if inputs is None else read_inputs(inputs)
        return _show(export_run(folder, out, given=given, **options))


@dataclasses.dataclass(frozen=True)
class Convert:
    """Makes a preset of published Perceiver IO weights, and says what became of every tensor."""

    source: Positional[Path]
    """Hugging Face repository on disk, or one file of its or of DeepMind's weights."""
    preset_dir: Positional[Path]
    """Folder of the preset."""
    options: ConvertOptions = ConvertOptions()
    labels: Path | None = None
    """Names of the classes, one a line. By default those of `config.json`."""
    verbose: bool = False
    """Prints a line for every tensor."""
    backend: Backend | None = None
    """Keras backend."""

    def run(self) -> int:
        given = {"labels": self.labels, "verbose": self.verbose}
        return _show(convert(self.source, self.preset_dir, self.options, **given))


@dataclasses.dataclass(frozen=True)
class Demo:
    """Makes clips, trains, evaluates, exports and serves, and prints the result beside the known ceilings."""

    out: Positional[Path] = Path("runs/demo")
    """Folder for everything."""
    quick: bool = False
    """A few clips and steps: shows that everything runs, not how well."""
    seed: int = 0
    """Decides clips, weights and order."""
    backend: Backend | None = None
    """Keras backend."""

    def run(self) -> int:
        from zorro_keras.applications.demo import demo

        demo(out=self.out, quick=self.quick, seed=self.seed)
        return 0


@dataclasses.dataclass(frozen=True)
class Reproduce:
    """Trains small models for each claim of the Zorro paper, and reports what holds and how surely."""

    out: Positional[Path] = Path("runs/reproduce")
    """Folder for everything; what it holds is not run again."""
    quick: bool = False
    """A few clips and steps: shows that everything runs, not what holds."""
    seeds: int = 2
    """Seeds of each experiment."""
    backend: Backend | None = None
    """Keras backend."""

    def run(self) -> int:
        from zorro_keras.applications.reproduce.command import reproduce

        reproduce(out=self.out, quick=self.quick, num_seeds=self.seeds)
        return 0


COMMANDS = (
    Doctor,
    Clips,
    Prepare,
    Plan,
    Train,
    Feed,
    Evaluate,
    Predict,
    Embed,
    Search,
    Export,
    Convert,
    Demo,
    Reproduce,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: optional words after `zorro-keras`. `sys.argv` by default.

    Returns:
        0, or the exit code of the fault: 2 usage or configuration, 3 data, 4 training; 5 where SIGTERM or
        SIGINT stopped a training that can go on. A mistake in the words themselves ends the process with 2.
    """
    commands = {kind.__name__.lower(): kind for kind in COMMANDS}
    command = tyro.extras.subcommand_cli_from_dict(
        commands,
        prog="zorro-keras",
        description=f"Train, evaluate and serve multimodal transformers: {', '.join(TASKS)}.",
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes,),
    )
    # TensorFlow tells of processors it could use and GPUs that are not there; its errors still raise.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        set_backend(getattr(command, "backend", None))
        if os.environ.get("KERAS_BACKEND") == "jax":
            keep_freed_memory()
            keep_barriers()
        return command.run()
    except ZorroError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from what is finished.", file=sys.stderr)
        return 130


def set_backend(backend: str | None) -> None:
    """Chooses the Keras backend: `backend`, else `KERAS_BACKEND`, else JAX where it is installed.

    Without any of these Keras chooses.

    Raises:
        ConfigError: if Keras was imported before with another backend.
    """
    if backend is None:
        settled = "KERAS_BACKEND" in os.environ or "keras" in sys.modules
        if settled or importlib.util.find_spec("jax") is None:
            return
        backend = "jax"
    if "keras" in sys.modules:
        current = sys.modules["keras"].backend.backend()
        if current != backend:
            raise ConfigError(
                f"Keras already runs on {current} in this process. Received: backend={backend}",
                stage="command", reason="bad_value", advice="Set KERAS_BACKEND before Keras is imported.",
            )  # fmt: skip
    os.environ["KERAS_BACKEND"] = backend


def _accepted(function: Callable[..., Any], **options: tuple[str, Any]) -> dict[str, Any]:
    """The options that were given, `parameter=(what it is called, value)`, to hand to a command of a task.

    Raises:
        ConfigError: if one of them means nothing to the task.
    """
    given = {name: value for name, (_, value) in options.items() if value is not None}
    for name in given:
        if name not in inspect.signature(function).parameters:
            task = function.__module__.split(".")[-2]
            raise ConfigError(
                f"{options[name][0]} means nothing to `{task}`.", stage="command", reason="bad_value"
            )
    return given


def _show(values: Any) -> int:
    """Prints a result as JSON, for people and programs."""
    print(json.dumps(values, indent=2, default=str))
    return 0


@contextlib.contextmanager
def _progress(unit: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on the terminal, and the function of (done, total) that moves it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn(unit), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        row = bar.add_task(unit, total=None)
        yield lambda done, total: bar.update(row, completed=done, total=total)


if __name__ == "__main__":
    sys.exit(main())
