"""Commands that ask a trained model, and that write it down for others."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from zorro_keras.applications.cli.words import Backend, Grid, Model, accepted, print_json, require
from zorro_keras.applications.convert import ConvertOptions, convert
from zorro_keras.applications.pipelines.faults import ConfigError

Format = Literal["saved_model", "tf_serving", "onnx", "litert"]


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Writes the report of a run; of a model of sound and picture, what each head knows from each of them.

    A preset of image_classification, masked_language or optical_flow is measured too: published weights, say.
    """

    run_dir: Annotated[Positional[Path], arg(metavar="RUN")]
    """Folder of the run, or of such a preset."""
    data: Path | None = None
    """Shards or a source. By default the data that the task made for the run; a preset needs it."""
    streams: str | None = None
    """One subset of the streams, separated by commas, such as audio,video. All subsets by default."""
    out: Path | None = None
    """Folder of the report. RUN/report by default, of one subset such as RUN/report_audio."""
    batch_size: int | None = None
    """Pictures or rows of text at a time; what is found does not depend on it. By default by their size."""
    max_megabytes: float | None = None
    """The most memory that a batch may take beside the weights, for a model that can keep to it."""
    grid: Grid | None = None
    """How tiles are spread over a picture, for optical flow: evenly by default, or as published."""
    whole: bool = False
    """Measure on all texts, battles or pairs, as the run was trained on none of them. By default on those
    that are held out."""
    backend: Backend | None = None
    """Keras backend."""

    def run(self) -> int:
        from zorro_keras.applications.training.task import commands_of, default_data

        evaluate = commands_of(self.run_dir).evaluate
        streams = None if self.streams is None else tuple(self.streams.split(","))
        options = accepted(
            evaluate,
            streams=("`--streams`", streams),
            batch_size=("`--batch-size`", self.batch_size),
            max_megabytes=("`--max-megabytes`", self.max_megabytes),
            grid=("`--grid`", self.grid),
            whole=("`--whole`", self.whole or None),
        )
        data = default_data(self.run_dir) if self.data is None else self.data
        return print_json(evaluate(self.run_dir, data, out=self.out, **options))


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
    batch_size: int | None = None
    """Pictures to answer at a time; what is found does not depend on it. By default by their size."""
    out: Path | None = None
    """Folder for what a model makes, such as a rebuilt clip or flow. By default named after the source."""
    max_megabytes: float | None = None
    """The most memory that a batch may take beside the weights, for a model that can keep to it."""
    grid: Grid | None = None
    """How tiles are spread over a picture, for optical flow: evenly by default, or as published."""
    backend: Backend | None = None
    """Keras backend."""

    def run(self) -> int:
        if not self.source:
            raise ConfigError("The source must not be empty.", stage="command", reason="bad_value")
        require(self, top=(self.top is None or self.top >= 1, "at least 1"))
        if self.audio_only and self.video_only:
            raise ConfigError(
                "`--audio-only` and `--video-only` exclude each other.", stage="command", reason="bad_value"
            )
        from zorro_keras.applications.training.task import commands_of

        predict = commands_of(self.folder).predict
        streams = ("audio",) if self.audio_only else ("video",) if self.video_only else None
        flag = "`--audio-only`" if self.audio_only else "`--video-only`"
        options = accepted(
            predict,
            second=(f"A second source, `{self.second}`,", self.second),
            streams=(flag, streams),
            timeline=("`--timeline`", self.timeline),
            top=("`--top`", self.top),
            batch_size=("`--batch-size`", self.batch_size),
            out=("`--out`", self.out),
            max_megabytes=("`--max-megabytes`", self.max_megabytes),
            grid=("`--grid`", self.grid),
        )
        return predict(self.folder, self.source, **options)


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
    """Largest difference from the model, as a share of the largest value of an output, where that is above 1
    (0.001 with --int8). 1e-4 by default, 0.25 with --int8."""
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
        return print_json(export_run(folder, out, given=given, **options))


@dataclasses.dataclass(frozen=True)
class Convert:
    """Makes a preset of published Perceiver IO weights, and says in it what became of every tensor.

    That is `conversion.json` in the preset's folder.
    """

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
        return print_json(convert(self.source, self.preset_dir, self.options, **given))
