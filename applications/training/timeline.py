"""What a run hears and sees along a long file: a table and a plot, in constant memory."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from zorro_keras.applications.pipelines.media import Window, iterate_windows, probe
from zorro_keras.applications.pipelines.media_windows import window_starts
from zorro_keras.applications.training.modality_figures import main_head
from zorro_keras.applications.training.open_model import open_model
from zorro_keras.applications.training.plots import timeline_plot
from zorro_keras.applications.training.probabilities import to_probabilities
from zorro_keras.applications.training.window_classifier import WindowClassifier, streams_of_file

_WINDOWS_AT_ONCE = 8
_CLASSES_SHOWN = 8
_MOST_COLUMNS = 1000  # of the plot: a longer file shows the highest probability in each


def timeline(
    folder: str | os.PathLike[str],
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    hop_seconds: float | None = None,
    streams: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Answers every window of a file and writes `timeline.csv` and `timeline.png`.

    A row of the table has `start_seconds`, `end_seconds`, `has_<stream>`, the best `label` and its
    `probability`, and one column per class. A window without any of the streams has no answer.

    Args:
        folder: of a run, or of a preset.
        path: video or sound file of any length.
        out: folder to write to.
        hop_seconds: optional float. Time from one window to the next; half a window by default.
        streams: optional names of the streams to look at. By default all that the file and the model have.

    Returns:
        Dict with `csv` and `png`, the files; `head`, the head that answers; and `num_windows`.

    Raises:
        ConfigError: if the model does not take a stream asked for.
        MediaError: if the file cannot be read, or has none of the streams.
    """
    task, info = open_model(folder), probe(path)
    label_names = task.preprocessor.label_names
    classifier = WindowClassifier(task, streams_of_file(task, info, streams), _WINDOWS_AT_ONCE)
    clip = classifier.geometry
    hop_seconds = clip.seconds / 2 if hop_seconds is None else hop_seconds
    starts = window_starts(info.duration_seconds, clip.seconds, hop_seconds)
    summary = _Summary(len(starts), len(label_names))
    head = main_head(classifier.streams, list(task.heads))
    windows = iterate_windows(path, clip, hop_seconds=hop_seconds, streams=classifier.streams)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    table, plot = out / "timeline.csv", out / "timeline.png"
    with open(table, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        flags = [f"has_{name}" for name in classifier.streams]
        writer.writerow(["start_seconds", "end_seconds", *flags, "label", "probability", *label_names])
        for window, probabilities in _answers(classifier, windows, head):
            end_seconds = min(window.start_seconds + clip.seconds, info.duration_seconds)
            has = [int(getattr(window, name) is not None) for name in classifier.streams]
            times = [f"{window.start_seconds:.3f}", f"{end_seconds:.3f}"]
            writer.writerow([*times, *has, *_cells(probabilities, label_names)])
            summary.add(probabilities)
    chosen = summary.most_probable(_CLASSES_SHOWN)
    timeline_plot(
        plot,
        summary.columns[:, chosen],
        [label_names[index] for index in chosen],
        end_seconds=info.duration_seconds,
        title=f"{Path(path).name}, head {head}",
    )
    return {"csv": str(table), "png": str(plot), "head": head, "num_windows": summary.num_added}


class _Summary:
    """The highest probabilities in equal parts of the time: as much as a plot can show."""

    def __init__(self, num_windows: int, num_classes: int) -> None:
        self.num_windows = num_windows
        self.num_added = 0
        self.columns = np.full((min(num_windows, _MOST_COLUMNS), num_classes), np.nan, np.float32)

    def add(self, probabilities: np.ndarray) -> None:
        """Takes the answer `(K,)` of the next window, NaN if it has none."""
        place = min(self.num_added, self.num_windows - 1) * len(self.columns) // self.num_windows
        self.columns[place] = np.fmax(self.columns[place], probabilities)
        self.num_added += 1

    def most_probable(self, count: int) -> np.ndarray:
        """Returns the classes with the highest peaks."""
        return np.argsort(-np.nan_to_num(self.columns).max(axis=0), kind="stable")[:count]


def _answers(
    classifier: WindowClassifier, windows: Iterator[Window], head: str
) -> Iterator[tuple[Window, np.ndarray]]:
    """Yields each window with the probabilities `(K,)` of a head, computed in batches."""
    while batch := list(islice(windows, classifier.batch_size)):
        logits = classifier(batch)[head]
        yield from zip(batch, to_probabilities(logits, multi_label=classifier.task.multi_label), strict=True)


def _cells(probabilities: np.ndarray, label_names: Sequence[str]) -> list[str]:
    if np.isnan(probabilities).any():
        return [""] * (2 + len(label_names))
    best = int(probabilities.argmax())
    return [label_names[best], f"{probabilities[best]:.4f}", *(f"{value:.4f}" for value in probabilities)]
