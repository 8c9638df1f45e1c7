"""`zorro-keras prepare`, `predict` and `evaluate` for video autoencoding."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zorro_keras.applications.pipelines.host_errors import host_errors
from zorro_keras.applications.pipelines.prepare import prepare
from zorro_keras.applications.training.comparison_strip import comparison_strip
from zorro_keras.applications.training.open_model import open_model
from zorro_keras.applications.training.report_files import write_report
from zorro_keras.applications.training.run import open_run
from zorro_keras.applications.training.run_folder import write_atomically
from zorro_keras.applications.video_autoencoding.autoencoder import VideoAutoencoder
from zorro_keras.applications.video_autoencoding.data import evaluation_dataset, open_data
from zorro_keras.applications.video_autoencoding.rebuild import rebuild
from zorro_keras.applications.video_autoencoding.report import report_page
from zorro_keras.applications.video_autoencoding.scores import ClipScores, mean_frame_of

__all__ = ["evaluate", "predict", "prepare"]


def predict(
    folder: str | os.PathLike[str],
    source: str | os.PathLike[str],
    *,
    top: int = 5,
    out: str | os.PathLike[str] | None = None,
    console: Console | None = None,
) -> int:
    """Compresses and rebuilds a clip of any length, and says how far the result is from it.

    Writes `rebuilt.mp4`, with sound, `comparison.png`, frames of the clip above the rebuilt ones, and
    `figures.json`: PSNR of sound and picture over the whole file, and the classes that the model reads from
    the clip, its label hidden.

    Args:
        folder: of a run, or of a preset.
        source: video or sound file.
        top: int >= 1. Classes to name.
        out: optional folder to write. `NAME_rebuilt` in the current folder by default.
        console: where the figures are shown. Standard output by default.

    Returns:
        0.

    Raises:
        ValueError: if `top` is not positive.
        ZorroError: if the model or the file cannot be used.
    """
    if top < 1:
        raise ValueError(f"`top` must be positive. Received: top={top}")
    out = Path(f"{Path(source).stem}_rebuilt" if out is None else out)
    task = open_model(folder, VideoAutoencoder)
    rebuilt = rebuild(task, source, out / "rebuilt.mp4")
    (out / "comparison.png").write_bytes(comparison_strip(rebuilt.strip))
    probabilities, names = rebuilt.probabilities(), task.preprocessor.label_names
    best = np.argsort(-probabilities, kind="stable")[:top]
    figures = {
        "source": os.fspath(source),
        "num_windows": rebuilt.num_windows,
        "psnr_db": {name: round(value, 3) for name, value in rebuilt.psnr().items()},
        "classes": [{"label": names[k], "probability": round(float(probabilities[k]), 6)} for k in best],
    }
    write_atomically(out / "figures.json", json.dumps(figures, indent=2) + "\n")
    # Names come from outside: as `Text` they are shown as they are, without markup.
    table = Table("", "", title=Text(f"{Path(source).name}, rebuilt into {out}"), show_header=False)
    for name, value in figures["psnr_db"].items():
        table.add_row(f"{name} PSNR", f"{value:.2f} dB")
    for row in figures["classes"]:
        table.add_row(Text(row["label"]), f"{row['probability']:.1%}")
    (console or Console()).print(table)
    return 0


def evaluate(
    run_dir: str | os.PathLike[str],
    data_path: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Measures how well a run rebuilds the test clips, or those of `val` where there is no test split.

    Args:
        run_dir: folder of the run.
        data_path: shards or a source, as for training. Its training split, if it has one with pictures, gives
            the mean frame.
        out: optional folder. `report/` in the run by default.

    Returns:
        Dict with `html` and `json`, the files written; `num_clips`; `video` and `audio`, PSNR in dB of the
        model, of the mean frame of the training clips, of each clip's own mean frame, and of silence; and
        `label`, top-1 and top-5 of the class that is read where the label is hidden. What there is nothing
        to measure of is None.

    Raises:
        ZorroError: if the run or the data cannot be used.
    """
    run = open_run(run_dir)
    data = open_data(data_path, run.config, label_names=run.label_names)
    given = (data, run.config, run.task.preprocessor)
    options = {"whole": True, "faults_path": run.folder.faults_file}
    with host_errors(data.faults):
        mean_frame = None
        if data.num_train:
            num_clips = run.config.data.baseline_clips
            training, _ = evaluation_dataset(*given, split="train", num_clips=num_clips, **options)
            mean_frame = mean_frame_of(training.as_numpy_iterator())
        scores = ClipScores(run.task, mean_frame)
        batches, ids = evaluation_dataset(*given, **options)
        for x, y, weight in batches.as_numpy_iterator():
            scores.add(x, y, weight)
    figures = scores.figures(len(ids))
    report = {
        "run": str(run.folder.path),
        "data": str(data_path),
        "split": data.evaluation_split,
        "backend": keras.backend.backend(),
        **figures,
    }
    page = report_page(report, comparison_strip(scores.shown) if scores.shown else None)
    files = write_report(run.folder.report if out is None else out, report, page)
    return {**files, **figures}
