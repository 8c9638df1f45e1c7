"""What the command line does with a trained model: answers texts, and writes the official figures."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zorro_keras.applications.pipelines.text_argument import texts_of_argument
from zorro_keras.applications.text_classification import submission
from zorro_keras.applications.text_classification.classifier import TextClassifier
from zorro_keras.applications.text_classification.data import evaluation_dataset, open_data
from zorro_keras.applications.text_classification.report import report_page
from zorro_keras.applications.text_classification.scores import glue_average, task_scores
from zorro_keras.applications.text_classification.text_sets import TextData, TextSet, tasks_of
from zorro_keras.applications.training.finite import check_finite
from zorro_keras.applications.training.open_model import open_model
from zorro_keras.applications.training.probabilities import to_probabilities
from zorro_keras.applications.training.report_files import write_report
from zorro_keras.applications.training.run import Run, open_run
from zorro_keras.applications.training.run_folder import write_atomically

PAIR_SEPARATORS = ("\t", " ||| ")


def predict(
    folder: str | os.PathLike[str], source: str, *, top: int = 5, console: Console | None = None
) -> int:
    """Prints what every task of a model answers to texts.

    Args:
        folder: of a run, or of a preset.
        source: as for `texts_of_argument`: a text, a file or a folder; tables have the columns `text` and,
            for pairs, `text2`. In a line a pair is written `A ||| B` or with a tab.
        top: int >= 1. Classes to print.
        console: where to print. Standard output by default.

    Returns:
        0.

    Raises:
        ConfigError: if there is no text.
        SourceError: if a file cannot be read.
    """
    if top < 1:
        raise ValueError(f"`top` must be positive. Received: top={top}")
    texts = texts_of_argument(source, ("text", "text2"), PAIR_SEPARATORS)
    model, console = open_model(folder, TextClassifier), console or Console()
    names = model.preprocessor.label_names
    table = Table("text", *names)
    answers = model.predict(texts, verbose=0)
    for row, text in enumerate(texts):
        # Texts and names come from outside: as `Text` they are shown as they are, without markup.
        cells = [_cell(answers[task][row], labels, top) for task, labels in names.items()]
        table.add_row(Text(" ||| ".join(text)), *map(Text, cells))
    console.print(table)
    return 0


def evaluate(
    run_dir: str | os.PathLike[str], data_path: str | os.PathLike[str], *, out: str | None = None
) -> dict[str, Any]:
    """Writes the official figures of every set that has labels, and the answers to those that have none.

    The sets of development ("val") count: GLUE gives no labels for its test sets. Where there is no "val",
    "test" does.

    Args:
        run_dir: folder of the run.
        data_path: data with the tasks of the run.
        out: optional folder, `report/` in the run by default. Gets `report.json`, `report.html` and, in
            `answers/`, a file for each of GLUE's test sets as its server takes them (`RTE.tsv`, `MNLI-m.tsv`,
            ...) and for each other set without labels; see `submission`.

    Returns:
        Dict with `json` and `html`, the files; `scores`, a dict of set to figures; and `glue_average`, the
        mean over the eight tasks of the paper, or `None` without all of them.

    Raises:
        ConfigError: if the data are of other tasks.
        SourceError: if the data cannot be used.
        TrainingError: if the model gives a number that is not finite.
    """
    run = open_run(run_dir)
    data = open_data(data_path, run.config, label_names=run.label_names)
    folder = Path(run.folder.report if out is None else out)
    scores, details = {}, {}
    for part in _scored(data):
        figures = task_scores(data.task(part.task).metrics, part.labels, _answers(run, data, part))
        scores[part.name] = {name: _number(figure) for name, figure in figures.items()}
        details[part.name] = {"split": part.split, "num_examples": len(part), "num_cut": _num_cut(run, part)}
    report = {
        "run": str(run.folder.path),
        "data": str(data_path),
        "backend": keras.backend.backend(),
        "label_names": {task: list(labels) for task, labels in tasks_of(run.label_names).items()},
        "scores": scores,
        "sets": details,
        "glue_average": glue_average({name: _defined(figures) for name, figures in scores.items()}),
        "answers": _write_answers(run, data, folder / "answers"),
        "rows_left_out": [str(problem) for problem in data.problems],
    }
    files = write_report(folder, report, report_page(report))
    return {**files, "scores": scores, "glue_average": report["glue_average"]}


def _cell(answer: np.ndarray, labels: Sequence[str], top: int) -> str:
    if len(labels) == 1:
        return f"{answer[0]:.3f}"
    shares = to_probabilities(answer, multi_label=False)
    best = np.argsort(-shares, kind="stable")[:top]
    return "\n".join(f"{shares[index]:6.1%}  {labels[index]}" for index in best)


def _scored(data: TextData) -> list[TextSet]:
    """The labelled sets that count: of each name its "val", else its "test"."""
    found: dict[str, TextSet] = {}
    for kind in ("val", "test"):
        for part in data.sets:
            if part.split.startswith(kind) and part.labels is not None and len(part):
                found.setdefault(part.name, part)
    return list(found.values())


def _answers(run: Run, data: TextData, part: TextSet) -> np.ndarray:
    """What the head of a set's task says to its texts, `(N, K)`."""
    model: TextClassifier = run.task
    if not len(part):  # not one row of it could be read
        return np.zeros((0, len(data.task(part.task).label_names)), np.float32)
    batches, _ = evaluation_dataset(data, run.config, model.preprocessor, sets=[part])
    answers = keras.Model.predict(model, batches.map(lambda x, y, weight: x), verbose=0)
    answers = np.asarray(answers[part.task])[: len(part)]
    check_finite(answers, "evaluate", part.ids)
    return answers


def _write_answers(run: Run, data: TextData, folder: Path) -> list[str]:
    """Writes the answers to the sets without labels, and returns the names of the files."""
    written = []
    for part in data.sets:
        if submission.is_submitted(part):
            folder.mkdir(parents=True, exist_ok=True)
            text = submission.submission(part, data.task(part.task), _answers(run, data, part))
            write_atomically(folder / submission.file_name(part), text)
            written.append(submission.file_name(part))
    return written


def _num_cut(run: Run, part: TextSet) -> int:
    return sum(map(run.task.preprocessor.is_cut, part.texts))


def _number(figure: float) -> float | None:
    """JSON has no NaN: a figure that is not defined is null."""
    return figure if math.isfinite(figure) else None


def _defined(figures: Mapping[str, float | None]) -> dict[str, float]:
    return {name: figure for name, figure in figures.items() if figure is not None}
