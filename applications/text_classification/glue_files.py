"""Reads GLUE's tasks from their official TSV folders or from parquet."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zorro_keras.applications.pipelines.faults import ConfigError, SourceError
from zorro_keras.applications.pipelines.text_rows import Row, bad_row, is_text, read_rows
from zorro_keras.applications.text_classification.glue_tasks import GLUE_TASKS, LARGEST_SCORE, GlueTask
from zorro_keras.applications.text_classification.text_sets import TextData, TextSet, TextTask, tasks_of

_DEV_IDS = "dev_ids.tsv"


def is_glue(path: str | Path) -> bool:
    """Whether a folder holds tasks of GLUE, or is the folder of one."""
    return bool(_folders(Path(path)))


def read_glue(
    path: str | Path, tasks: Sequence[str] = (), label_names: Sequence[str] | None = None
) -> TextData:
    """Reads tasks of GLUE.

    MRPC may lie as `msr_paraphrase_train.txt` and `msr_paraphrase_test.txt`; where `dev_ids.tsv` is there,
    its pairs are taken out of the training file as GLUE's development set. AX is read along with MNLI.

    Args:
        path: folder of the tasks' folders, or one of these.
        tasks: names of tasks; empty for all that are there.
        label_names: optional sequence of `task/label`, to read what a model was trained on.

    Returns:
        `TextData`; its `problems` name every row that cannot be used.

    Raises:
        ConfigError: if a task is unknown, or is not there.
        SourceError: if a file is missing or has not the columns it should.
    """
    folders = _folders(Path(path))
    if label_names is not None:
        chosen = _known_tasks(path, label_names)
    else:
        chosen = list(tasks) or [name for name in folders if not GLUE_TASKS[name].asked_as]
    for name in chosen:
        _check_there(path, name, folders)
    sets, problems = [], []
    for name in sorted(chosen):
        sets += _read_task(name, folders[name], problems)
        if label_names is None and not any(part.task == name and part.split == "train" for part in sets):
            raise SourceError(
                f"{name} has no training file.",
                path=folders[name],
                stage="read_source",
                reason="missing_file",
            )
    for name, folder in folders.items():
        if GLUE_TASKS[name].asked_as in chosen:
            sets += _read_task(name, folder, problems)
    described = [
        TextTask(name, GLUE_TASKS[name].label_names, GLUE_TASKS[name].metrics) for name in sorted(chosen)
    ]
    return TextData(tuple(described), tuple(sets), tuple(problems))


def _folders(path: Path) -> dict[str, Path]:
    """Task -> its folder, for the folders that hold files of rows."""
    inside = [entry for entry in sorted(path.iterdir()) if entry.is_dir()] if path.is_dir() else []
    names = {folder: name for name, task in GLUE_TASKS.items() for folder in task.folders}
    found = {}
    for folder in (*inside, path):
        name = names.get(folder.resolve().name.lower())
        if name and name not in found and any(_find(folder, name)):
            found[name] = folder
    return found


def _find(folder: Path, name: str) -> Iterator[tuple[str, list[Path]]]:
    """Each split of a task that is in its folder, and its files."""
    task = GLUE_TASKS[name]
    for split, candidates in task.files:
        there = [folder / candidate for candidate in candidates if (folder / candidate).is_file()]
        if there:
            yield split, there[:1]
        elif split == "val" and (folder / _DEV_IDS).is_file():
            yield split, [folder / "msr_paraphrase_train.txt"]
    for split, stem in task.parquet:
        there = sorted({*folder.glob(f"{stem}.parquet"), *folder.glob(f"{stem}-*.parquet")})
        if there:
            yield split, there


def _read_task(name: str, folder: Path, problems: list[SourceError]) -> list[TextSet]:
    task, sets = GLUE_TASKS[name], {}
    for split, paths in _find(folder, name):
        if split in sets:
            raise SourceError(
                f"{name} has its {split} split twice, as TSV and as parquet.",
                path=folder, stage="read_source", reason="duplicate_id",
            )  # fmt: skip
        rows = [row for path in paths for row in _rows(path, task, split)]
        sets[split] = _as_set(name, split, rows, problems)
    return list(sets.values())


def _rows(path: Path, task: GlueTask, split: str) -> Iterator[Row]:
    rows = read_rows(path, f"{path.parent.name}/{path.name}", [task.header] if task.header else ())
    ids = path.parent / _DEV_IDS
    if path.name != "msr_paraphrase_train.txt" or not ids.is_file():
        yield from rows
        return
    held_out = {tuple(line.split("\t")[-2:]) for line in ids.read_text(encoding="utf-8-sig").splitlines()}
    for place, cells in rows:
        pair = None if isinstance(cells, SourceError) else (cells.get("#1 id"), cells.get("#2 id"))
        # A row that cannot be read is named once, as one of training.
        if (pair in held_out) == (split == "val"):
            yield place, cells


def _as_set(name: str, split: str, rows: Sequence[Row], problems: list[SourceError]) -> TextSet:
    task = GLUE_TASKS[name]
    first = next((cells for _, cells in rows if not isinstance(cells, SourceError)), {})
    columns = [_column(rows, first, names) for names in task.texts]
    label_column = next((column for column in task.label if column in first), None)
    if label_column and all(_blank(cells.get(label_column)) for _, cells in rows if isinstance(cells, dict)):
        label_column = None  # the parquet test sets have a label of -1 throughout
    if label_column is None and not split.startswith("test"):
        _column(rows, first, task.label)
    ids, texts, labels, numbers = [], [], [], []
    for number, (place, cells) in enumerate(rows):
        try:
            if isinstance(cells, SourceError):
                raise cells
            text = tuple(_text(place, column, cells[column]) for column in columns)
            label = None if label_column is None else _label(place, task, cells[label_column])
        except SourceError as problem:
            problems.append(problem)
            continue
        ids.append(place)
        texts.append(text)
        labels.append(label)
        numbers.append(number)
    kind = np.float32 if len(task.label_names) == 1 else np.int32
    known = None if label_column is None else np.asarray(labels, kind)
    title = f"{name} mismatched" if split.endswith("_mismatched") else name
    return TextSet(
        task.asked_as or name, title, split, tuple(texts), known, tuple(ids), tuple(numbers), len(rows)
    )


def _column(rows: Sequence[Row], first: dict[str, Any], names: Sequence[str]) -> str:
    found = next((name for name in names if name in first), None)
    if found is None:
        place = rows[0][0] if rows else "an empty file"
        raise SourceError(
            f"A column `{names[0]}` is needed. Received: {list(first)}",
            row=place, stage="read_source", reason="missing_column",
        )  # fmt: skip
    return found


def _text(place: str, column: str, cell: Any) -> str:
    if not isinstance(cell, str) or not cell.strip():
        raise bad_row(place, f"`{column}` must hold a text. Received: {cell!r}")
    if not is_text(cell):
        raise bad_row(place, f"`{column}` holds bytes that are not UTF-8", "bad_encoding")
    return cell


def _label(place: str, task: GlueTask, cell: Any) -> float | int:
    if len(task.label_names) == 1:
        try:
            score = float(cell)
        except (TypeError, ValueError):
            score = math.nan
        if not 0.0 <= score <= LARGEST_SCORE:
            raise bad_row(
                place, f"the score must lie within [0, {LARGEST_SCORE:g}]. Received: {cell!r}", "bad_label"
            )
        return score
    if isinstance(cell, int) and 0 <= cell < len(task.label_names):
        return cell
    for names in (task.written, task.label_names):
        if cell in names:
            return names.index(cell)
    expected = task.written or task.label_names
    raise bad_row(place, f"the label must be one of {list(expected)}. Received: {cell!r}", "bad_label")


def _blank(cell: Any) -> bool:
    return cell in (None, "", -1, -1.0)


def _check_there(path: str | Path, name: str, folders: dict[str, Path]) -> None:
    if name in folders and not GLUE_TASKS[name].asked_as:
        return
    known = [task for task in GLUE_TASKS if not GLUE_TASKS[task].asked_as]
    if name in known:
        message = f"There is no folder of {name}. Found: {sorted(folders)}"
    else:
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
        message = f"GLUE has no task `{name}` to train. Did you mean `{nearest}`?"
    raise ConfigError(message, path=path, stage="open_data", reason="bad_value")


def _known_tasks(path: str | Path, label_names: Sequence[str]) -> list[str]:
    tasks = tasks_of(label_names)
    for name, labels in tasks.items():
        if name not in GLUE_TASKS or labels != GLUE_TASKS[name].label_names:
            raise ConfigError(
                f"The model answers `{name}` with {list(labels)}: no task of GLUE.",
                path=path, stage="open_data", reason="bad_value",
            )  # fmt: skip
    return list(tasks)
