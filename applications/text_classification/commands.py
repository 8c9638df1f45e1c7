"""What the command line does with a trained run: answers texts, and writes the official figures."""

from __future__ import annotations

import json
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

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.text_classification.classifier import TextClassifier
from zorro_keras.applications.text_classification.data import evaluation_dataset, open_data
from zorro_keras.applications.text_classification.scores import glue_average, task_scores
from zorro_keras.applications.text_classification.text_sets import TextData, TextSet, tasks_of
from zorro_keras.applications.training.probabilities import to_probabilities
from zorro_keras.applications.training.run import Run, open_run
from zorro_keras.applications.training.run_folder import write_atomically

PAIR_SEPARATORS = ("\t", " ||| ")


def predict(
    run_dir: str | os.PathLike[str], source: str, *, top: int = 5, console: Console | None = None
) -> int:
    """Prints what every task of a run answers to texts.

    Args:
        run_dir: folder of the run.
        source: the text itself, a pair written `A ||| B` or with a tab; or a file with one on each line, or a
            folder of such `.txt` files.
        top: int >= 1. Classes to print.
        console: where to print. Standard output by default.

    Returns:
        0.

    Raises:
        ConfigError: if there is no text.
    """
    if top < 1:
        raise ValueError(f"`top` must be positive. Received: top={top}")
    texts = _texts(source)
    if not texts:
        raise ConfigError("There is no text to classify.", path=source, stage="predict", reason="bad_value")
    run = open_run(run_dir)
    names, console = tasks_of(run.label_names), console or Console()
    table = Table("text", *names)
    answers = run.task.predict(texts, batch_size=run.config.training.batch_size, verbose=0)
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
        out: optional folder, `report/` in the run by default. Gets `report.json`, `report.html` and, for each
            set without labels, `TASK_SPLIT.tsv` with `index` and `prediction`.

    Returns:
        Dict with `json` and `html`, the files; `scores`, a dict of set to figures; and `glue_average`, the
        mean over the eight tasks of the paper, or `None` without all of them.

    Raises:
        ConfigError: if the data are of other tasks.
        SourceError: if the data cannot be used.
    """
    run = open_run(run_dir)
    data = open_data(data_path, run.config, label_names=run.label_names)
    folder = Path(run.folder.report if out is None else out)
    folder.mkdir(parents=True, exist_ok=True)
    scores, details, written = {}, {}, []
    for part in _scored(data):
        answers = _answers(run, data, part)
        figures = task_scores(data.task(part.task).metrics, part.labels, answers)
        scores[part.name] = {name: _number(figure) for name, figure in figures.items()}
        details[part.name] = {"split": part.split, "num_examples": len(part), "num_cut": _num_cut(run, part)}
    for part in data.sets:
        if part.labels is None and len(part):
            path = folder / f"{part.name.replace(' ', '_')}_{part.split.split('_')[0]}.tsv"
            write_atomically(path, _submission(_answers(run, data, part), data.task(part.task).label_names))
            written.append(path.name)
    report = {
        "run": str(run.folder.path),
        "data": str(data_path),
        "backend": keras.backend.backend(),
        "label_names": {task: list(labels) for task, labels in tasks_of(run.label_names).items()},
        "scores": scores,
        "sets": details,
        "glue_average": glue_average({name: _defined(figures) for name, figures in scores.items()}),
        "predictions": written,
        "rows_left_out": [str(problem) for problem in data.problems],
    }
    write_atomically(folder / "report.json", json.dumps(report, indent=2, allow_nan=False) + "\n")
    write_atomically(folder / "report.html", _page(report))
    return {
        "json": str(folder / "report.json"),
        "html": str(folder / "report.html"),
        "scores": scores,
        "glue_average": report["glue_average"],
    }


def _texts(source: str) -> list[tuple[str, ...]]:
    path = Path(source)
    # A text may be longer than a name may be, or hold what no name holds.
    try:
        files = sorted(path.glob("*.txt")) if path.is_dir() else [path] if path.is_file() else []
    except (OSError, ValueError):
        files = []
    lines = [line for file in files for line in file.read_text(encoding="utf-8-sig").splitlines()]
    return [_pair(line) for line in (lines if files else [source]) if line.strip()]


def _pair(line: str) -> tuple[str, ...]:
    for separator in PAIR_SEPARATORS:
        first, found, second = line.partition(separator)
        if found:
            return first.strip(), second.strip()
    return (line.strip(),)


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
    batches, _ = evaluation_dataset(data, run.config, model.preprocessor, sets=[part])
    answers = keras.Model.predict(model, batches.map(lambda x, y, weight: x), verbose=0)
    return np.asarray(answers[part.task])[: len(part)]


def _num_cut(run: Run, part: TextSet) -> int:
    return sum(map(run.task.preprocessor.is_cut, part.texts))


def _submission(answers: np.ndarray, labels: Sequence[str]) -> str:
    """Answers as GLUE's server takes them: an index and a label, or a score within [0, 5]."""
    if len(labels) == 1:
        cells = [f"{value:.3f}" for value in answers[:, 0]]
    else:
        cells = [labels[index] for index in answers.argmax(axis=1)]
    return "index\tprediction\n" + "".join(f"{row}\t{cell}\n" for row, cell in enumerate(cells))


def _number(figure: float) -> float | None:
    """JSON has no NaN: a figure that is not defined is null."""
    return figure if math.isfinite(figure) else None


def _defined(figures: Mapping[str, float | None]) -> dict[str, float]:
    return {name: figure for name, figure in figures.items() if figure is not None}


def _page(report: Mapping[str, Any]) -> str:
    from html import escape

    rows = [
        f"<tr><td>{escape(name)}</td><td>{report['sets'][name]['split']}</td>"
        f"<td>{report['sets'][name]['num_examples']}</td><td>{escape(figure)}</td>"
        f"<td>{'undefined' if value is None else f'{value:.4f}'}</td></tr>"
        for name, figures in report["scores"].items()
        for figure, value in figures.items()
    ]
    average = report["glue_average"]
    closing = "" if average is None else f"<p>GLUE average of the eight tasks: {100 * average:.2f}</p>"
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Text classification</title>'
        "<style>body{font-family:sans-serif;margin:2em}td,th{padding:.3em 1em;text-align:left}</style>"
        f"<h1>{escape(report['run'])}</h1><table><tr><th>set</th><th>split</th><th>examples</th>"
        f"<th>figure</th><th>value</th></tr>{''.join(rows)}</table>{closing}</html>\n"
    )
