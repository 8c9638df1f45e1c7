"""`zorro-keras predict` and `evaluate` for image classification."""

from __future__ import annotations

import os
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zorro_keras import metrics
from zorro_keras.applications.image_classification.answers import answers, pictures_of
from zorro_keras.applications.image_classification.classifier import ImageClassifier
from zorro_keras.applications.image_classification.config import config_of_preset
from zorro_keras.applications.image_classification.data import evaluation_dataset, open_data
from zorro_keras.applications.image_classification.report import report_page
from zorro_keras.applications.pipelines.faults import TrainingError, ZorroError
from zorro_keras.applications.pipelines.host_errors import host_errors
from zorro_keras.applications.training.asking_batch import asking_batch_size
from zorro_keras.applications.training.finite import check_finite
from zorro_keras.applications.training.open_model import open_measured, open_model
from zorro_keras.applications.training.probabilities import to_probabilities
from zorro_keras.applications.training.report_files import write_report
from zorro_keras.applications.training.run import Run

_NUM_WORST = 24


def predict(
    folder: str | os.PathLike[str],
    source: str | os.PathLike[str],
    *,
    top: int = 5,
    batch_size: int | None = None,
    console: Console | None = None,
) -> int:
    """Prints the most probable classes of a picture, or of each picture of a folder.

    Args:
        folder: of a run, or of a preset.
        source: image file, or folder of image files.
        top: int >= 1. Classes per picture.
        batch_size: optional int >= 1. As for `answers`.
        console: where to print. Standard output by default.

    Returns:
        0; or 3 if not one of the pictures of a folder could be read. The others are named with the reason.

    Raises:
        ValueError: if `top` is not positive.
        ZorroError: if the model cannot be used, there are no pictures, or the one picture cannot be read.
    """
    if top < 1:
        raise ValueError(f"`top` must be positive. Received: top={top}")
    paths = pictures_of(source)
    task = open_model(folder, ImageClassifier)
    names = task.preprocessor.label_names
    top = min(top, len(names))
    table = Table("picture", *(f"{place + 1}." for place in range(top)))
    num_read = 0
    for path, answer in answers(task, paths, batch_size=batch_size):
        if isinstance(answer, ZorroError):
            if len(paths) == 1:
                raise answer
            cells = [f"{answer.reason}: {answer.message}"]
        else:
            num_read += 1
            best = np.argsort(-answer, kind="stable")[:top]
            cells = [f"{answer[index]:6.1%}  {names[index]}" for index in best]
        name = path.name if len(paths) == 1 else os.path.relpath(path, source)
        # Names come from outside: as `Text` they are shown as they are, without markup.
        table.add_row(Text(name), *map(Text, cells))
    (console or Console()).print(table)
    return 0 if num_read else 3


def evaluate(
    run_dir: str | os.PathLike[str],
    data_path: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    batch_size: int | None = None,
) -> dict[str, Any]:
    """Measures a model on the test pictures, or on `val` where there is no test split.

    Args:
        run_dir: folder of a run, or of a preset, whose pictures are prepared as its preprocessor says.
        data_path: pictures, as for training, of the model's classes.
        out: optional folder. `report/` in the run or the preset by default.
        batch_size: optional int >= 1. Pictures at a time, at most 32 and fewer large ones by default.

    Returns:
        Dict with `html` and `json`, the files written; `num_images`, `top1_accuracy` and `top5_accuracy`. The
        rest is in `report.json`: by class, what is taken for what, the worst pictures, those not read.

    Raises:
        ZorroError: if the model or the data cannot be used.
    """
    run = open_measured(run_dir, ImageClassifier, config_of_preset)
    batch_size = asking_batch_size(run.config.data.size_px**2, batch_size)
    data = open_data(data_path, run.config, label_names=run.label_names)
    with host_errors(data.faults):
        ids, labels, logits, unusable = _scores(run, data, batch_size)
    report = {
        "run": str(run.folder.path),
        "data": str(data_path),
        "split": data.evaluation_split,
        "backend": keras.backend.backend(),
        "label_names": list(run.label_names),
        "num_images": len(ids),
        "top1_accuracy": metrics.accuracy(labels, logits),
        "top5_accuracy": metrics.top_k_accuracy(labels, logits, 5),
        "classes": _by_class(labels, logits, run.label_names),
        "confusion": metrics.confusion_matrix(labels, logits).astype(int).tolist(),
        "worst_images": _worst(ids, labels, logits, run.label_names),
        "unusable_images": unusable,
    }
    entries = {entry.id: entry for entry in data.source.entries}
    files = write_report(run.folder.report if out is None else out, report, report_page(report, entries))
    return {**files, **{name: report[name] for name in ("num_images", "top1_accuracy", "top5_accuracy")}}


def _scores(run: Run, data: Any, batch_size: int) -> tuple[list[str], np.ndarray, np.ndarray, list[str]]:
    """Ids, classes `(N,)`, logits `(N, K)` of the pictures that were read, and the ids of the others."""
    batches, ids = evaluation_dataset(
        data,
        run.config,
        run.task.preprocessor,
        batch_size=batch_size,
        faults_path=run.folder.faults_file,
    )
    labels, logits, weights = [], [], []
    for x, y, weight in batches.as_numpy_iterator():
        logits.append(np.asarray(keras.Model.predict_on_batch(run.task, x)["label"]))
        labels.append(y.argmax(axis=1))
        weights.append(weight)
    used = np.concatenate(weights)[: len(ids)] > 0
    logits = np.concatenate(logits)[: len(ids)][used]
    read = [name for name, is_used in zip(ids, used, strict=True) if is_used]
    if not read:
        raise TrainingError(
            "Not one picture of the split could be used.", stage="evaluate", reason="empty_source"
        )
    check_finite(logits, "evaluate", read)
    unusable = [name for name, is_used in zip(ids, used, strict=True) if not is_used]
    return read, np.concatenate(labels)[: len(ids)][used], logits, unusable


def _by_class(labels: np.ndarray, logits: np.ndarray, names: tuple[str, ...]) -> list[dict[str, Any]]:
    right = logits.argmax(axis=1) == labels
    rows = []
    for index, name in enumerate(names):
        of_class = labels == index
        share = float(right[of_class].mean()) if of_class.any() else None
        rows.append({"label": name, "num_images": int(of_class.sum()), "accuracy": share})
    return rows


def _worst(
    ids: list[str], labels: np.ndarray, logits: np.ndarray, names: tuple[str, ...]
) -> list[dict[str, Any]]:
    """The pictures whose true class gets the least probability."""
    probabilities = to_probabilities(logits, multi_label=False)
    of_truth = probabilities[np.arange(len(labels)), labels]
    rows = []
    for row in np.argsort(of_truth, kind="stable")[:_NUM_WORST]:
        predicted = int(probabilities[row].argmax())
        rows.append(
            {
                "id": ids[row],
                "true": names[labels[row]],
                "predicted": names[predicted],
                "true_probability": round(float(of_truth[row]), 6),
                "predicted_probability": round(float(probabilities[row, predicted]), 6),
            }
        )
    return rows
