"""Says what a run hears and sees in one media file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zorro_keras.applications.pipelines.media import decode_window, probe
from zorro_keras.applications.training.open_model import open_model
from zorro_keras.applications.training.probabilities import to_probabilities
from zorro_keras.applications.training.run import open_run
from zorro_keras.applications.training.task import task_of_preset
from zorro_keras.applications.training.timeline import timeline
from zorro_keras.applications.training.window_classifier import WindowClassifier, streams_of_file

__all__ = ["predict_file", "timeline"]


def predict_file(
    folder: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    streams: Sequence[str] | None = None,
    top: int = 5,
    console: Console | None = None,
) -> dict[str, list[dict[str, Any]]]:
    """Answers one clip and shows the top classes of each head.

    The clip is seen through the windows that the run's evaluation uses: the centre, or several spaced evenly,
    their logits averaged. A preset looks at the centre.

    Args:
        folder: of a run, or of a preset.
        path: video or sound file.
        streams: optional names of the streams to look at. By default all that the file and the model have.
        top: int >= 1. Classes per head.
        console: where the table is shown. Standard error by default.

    Returns:
        Dict of head to a list of dicts with `label` and `probability`, the most probable first.

    Raises:
        ConfigError: if the model does not take a stream asked for.
        MediaError: if the file cannot be read, or has none of the streams.
    """
    if top < 1:
        raise ValueError(f"`top` must be positive. Received: top={top}")
    task, num_windows = _opened(folder)
    info = probe(path)
    classifier = WindowClassifier(task, streams_of_file(task, info, streams), num_windows)
    spare_seconds = max(info.duration_seconds - classifier.geometry.seconds, 0.0)
    fractions = [0.5] if num_windows == 1 else np.linspace(0.0, 1.0, num_windows)
    starts = [float(fraction * spare_seconds) for fraction in fractions]
    windows = [
        decode_window(path, classifier.geometry, start_seconds=start, streams=classifier.streams)
        for start in starts
    ]
    answers = {}
    for head, logits in classifier(windows).items():
        logits = logits[~np.isnan(logits).any(axis=1)]  # windows without the head's stream
        if len(logits):
            answers[head] = to_probabilities(logits.mean(axis=0), multi_label=task.multi_label)
    top_classes = {head: _top(answer, task.preprocessor.label_names, top) for head, answer in answers.items()}
    (console or Console(stderr=True)).print(_table(path, classifier.streams, top_classes))
    return top_classes


def _opened(folder: str | os.PathLike[str]) -> tuple[keras.Model, int]:
    """The model, and how many windows of a clip it is to look at."""
    if task_of_preset(folder) is not None:
        return open_model(folder), 1
    run = open_run(folder)
    return run.task, run.config.data.test_clips


def _top(probabilities: np.ndarray, label_names: Sequence[str], top: int) -> list[dict[str, Any]]:
    best = np.argsort(-probabilities, kind="stable")[:top]
    return [
        {"label": label_names[index], "probability": round(float(probabilities[index]), 6)} for index in best
    ]


def _table(path: Any, streams: Sequence[str], top_classes: dict[str, list[dict[str, Any]]]) -> Table:
    # Names come from outside: as `Text` they are shown as they are, without markup.
    table = Table(title=Text(f"{os.path.basename(os.fspath(path))}, from {' and '.join(streams)}"))
    for head in top_classes:
        table.add_column(head)
    for row in zip(*top_classes.values(), strict=True):
        table.add_row(*(Text(f"{cell['probability']:6.1%}  {cell['label']}") for cell in row))
    return table
