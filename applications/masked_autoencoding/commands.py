"""`zorro-keras prepare`, `predict` and `evaluate` for masked auto-encoding."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import keras
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zorro_keras.applications.masked_autoencoding.autoencoder import MaskedClipAutoencoder
from zorro_keras.applications.masked_autoencoding.data import evaluation_dataset, open_data
from zorro_keras.applications.masked_autoencoding.report import WORDS, report_page
from zorro_keras.applications.masked_autoencoding.scores import HiddenScores, mean_clip_of
from zorro_keras.applications.pipelines.host_errors import host_errors
from zorro_keras.applications.pipelines.media import iterate_windows, probe
from zorro_keras.applications.pipelines.prepare import prepare
from zorro_keras.applications.training.comparison_strip import comparison_strip
from zorro_keras.applications.training.open_model import open_model
from zorro_keras.applications.training.output_folder import output_folder
from zorro_keras.applications.training.report_files import write_report
from zorro_keras.applications.training.run import open_run
from zorro_keras.applications.training.run_folder import write_atomically
from zorro_keras.applications.training.window_batch import window_batch

__all__ = ["evaluate", "predict", "prepare"]


def predict(
    folder: str | os.PathLike[str],
    source: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    console: Console | None = None,
) -> int:
    """Hides most of a clip of any length, window by window, and says how well the rest tells it.

    Writes `figures.json`, and where there are pictures `comparison.png`: frames of the first windows, what
    was shown of them, and that with the rest as the model tells it.

    Args:
        folder: of a run, or of a preset.
        source: video or sound file.
        out: optional folder to write. `NAME_told` in the current folder by default.
        console: where the figures are shown. Standard output by default.

    Returns:
        0.

    Raises:
        ZorroError: if the model or the file cannot be used.
    """
    task = open_model(folder, MaskedClipAutoencoder)
    clip, scores, num_windows = task.preprocessor.geometry, HiddenScores(task), 0
    duration = probe(source).duration_seconds
    for window in iterate_windows(source, clip, hop_seconds=clip.seconds):
        x = dict(task.preprocessor(window_batch(window, clip)))
        x = keras.tree.map_structure(keras.ops.convert_to_numpy, x)
        scores.add(x, clip.sizes_within(duration - window.start_seconds))
        num_windows += 1
    figures = {
        "source": os.fspath(source),
        "num_windows": num_windows,
        "mask_rate": task.masking.mask_rate,
        **scores.figures(),
    }
    folder = output_folder(Path(f"{Path(source).stem}_told" if out is None else out))
    if scores.shown:
        (folder / "comparison.png").write_bytes(comparison_strip(scores.shown))
    write_atomically(folder / "figures.json", json.dumps(figures, indent=2, allow_nan=False) + "\n")
    # Names come from outside: as `Text` they are shown as they are, without markup.
    table = Table("", "mean squared error", title=Text(f"{Path(source).name}, told into {folder}"))
    for name in task.backbone.streams:
        for kind, error in (figures[name] or {"mean_squared_error": {}})["mean_squared_error"].items():
            if error is not None:
                table.add_row(f"{name}, {WORDS[kind]}", f"{error:.3g}")
    (console or Console()).print(table)
    return 0


def evaluate(
    run_dir: str | os.PathLike[str],
    data_path: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Measures how well a run tells what is hidden of the test clips, or of `val` without a test split.

    What is hidden is the same each time.

    Args:
        run_dir: folder of the run.
        data_path: shards or a source, as for training. Its training split, if it has one, gives the mean
            clip.
        out: optional folder. `report/` in the run by default.

    Returns:
        Dict with `html` and `json`, the files written; `num_clips` that could be used; and `audio` and
        `video`, the mean squared error over what was hidden of the model, of the mean of the training clips
        at each place, and of the mean of what was shown of the clip. What there is nothing to measure of is
        None.

    Raises:
        ZorroError: if the run or the data cannot be used.
    """
    run = open_run(run_dir)
    data = open_data(data_path, run.config)
    given, options = (data, run.config, run.task.preprocessor), {"faults_path": run.folder.faults_file}
    with host_errors(data.faults):
        mean_clip = None
        if data.num_train:
            num_clips = run.config.data.baseline_clips
            training, _ = evaluation_dataset(*given, split="train", num_clips=num_clips, **options)
            mean_clip = mean_clip_of(training.as_numpy_iterator())
        scores = HiddenScores(run.task, mean_clip)
        batches, _ = evaluation_dataset(*given, **options)
        for x in batches.as_numpy_iterator():
            scores.add(x)
    figures = {"num_clips": scores.num_clips, **scores.figures()}
    report = {
        "run": str(run.folder.path),
        "data": str(data_path),
        "split": data.evaluation_split,
        "backend": keras.backend.backend(),
        "mask_rate": run.task.masking.mask_rate,
        **figures,
    }
    strip = comparison_strip(scores.shown) if scores.shown else None
    files = write_report(run.folder.report if out is None else out, report, report_page(report, strip))
    return {**files, **figures}
