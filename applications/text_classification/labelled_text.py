"""Reads labelled text of one's own: class folders of text files, or tables."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zorro_keras.applications.pipelines.faults import ConfigError, SourceError
from zorro_keras.applications.pipelines.held_out import held_out
from zorro_keras.applications.pipelines.text_rows import TABLES, bad_row, is_text, kind_of_rows, read_rows
from zorro_keras.applications.text_classification.scores import default_metrics
from zorro_keras.applications.text_classification.text_sets import (
    SCORE,
    TextData,
    TextSet,
    TextTask,
    tasks_of,
)

TASK = "text"
_SPLITS = {name: name for name in ("train", "val", "test")} | {
    "dev": "val",
    "valid": "val",
    "validation": "val",
}


@dataclass(frozen=True)
class _Example:
    place: str
    texts: tuple[str, ...]
    label: str | float | None
    split: str | None


def read_labelled_text(
    path: str | Path, label_names: Sequence[str] | None = None, test_fraction: float = 0.1
) -> TextData:
    """Reads a task of one's own, named "text".

    Args:
        path: one of
            a folder of class folders with `.txt` files, which may stand under `train`, `val` and `test`;
            a file `.csv`, `.tsv` or `.jsonl`, with or without `.gz`, or `.parquet`, with columns `text` and
            `label` (a class) or `score` (a number), and optionally `text2` (for pairs) and `split`;
            a folder of such files named after their splits.
        label_names: optional sequence of `text/label`, to read what a model was trained on.
        test_fraction: float in (0, 1). Share of the texts of each label that are held out as "test" where
            there are no splits. Equal texts stay together.

    Returns:
        `TextData`; its `problems` name every row that cannot be used.

    Raises:
        SourceError: if there is nothing to read, or a column is missing.
        ConfigError: if `label_names` are those of other tasks.
    """
    path, problems = Path(path), []
    examples = [example for example in _examples(path) if not _noted(example, problems)]
    if not examples and not problems:
        raise SourceError(
            "There are no labelled texts: neither class folders of .txt files nor a table.",
            path=path, stage="read_source", reason="empty_source",
        )  # fmt: skip
    named = _named_labels(path, label_names, examples)
    if all(example.split is None for example in examples):
        examples = _dealt(examples, test_fraction)
    for example in examples:
        if example.split is None:
            problems.append(bad_row(example.place, "a split must be there, as others have one", "bad_split"))
    sets = [_as_set(split, examples, named, problems) for split in ("train", "val", "test")]
    task = TextTask(TASK, named, default_metrics(TASK, len(named)))
    return TextData((task,), tuple(part for part in sets if len(part)), tuple(problems))


def _noted(example: _Example | SourceError, problems: list[SourceError]) -> bool:
    if isinstance(example, SourceError):
        problems.append(example)
    return isinstance(example, SourceError)


def _examples(path: Path) -> Iterator[_Example | SourceError]:
    if path.is_file() and kind_of_rows(path.name) in TABLES:
        yield from _table(path, None)
    elif path.is_dir():
        tables = [entry for entry in sorted(path.iterdir()) if kind_of_rows(entry.name) in TABLES]
        for table in tables:
            yield from _table(table, _SPLITS.get(table.name.split(".")[0].split("-")[0].lower(), table.stem))
        if not tables:
            yield from _class_folders(path)
        for file in sorted(path.glob("*/**/*.txt")) if tables else ():
            place = file.relative_to(path).as_posix()
            yield bad_row(place, "text files are not read beside tables: keep one of the two")


def _class_folders(path: Path) -> Iterator[_Example | SourceError]:
    for file in sorted(path.rglob("*.txt")):
        *folders, _ = file.relative_to(path).parts
        place = "/".join((*folders, file.name))
        split = _SPLITS.get(folders[0].lower()) if len(folders) == 2 else None
        if len(folders) != 1 + (split is not None) or folders[-1].lower() in _SPLITS:
            yield bad_row(place, "the file does not lie directly in a class folder", "bad_label")
            continue
        text = file.read_text(encoding="utf-8-sig", errors="surrogateescape")
        yield _checked(place, (text,), folders[-1], split)


def _table(path: Path, split: str | None) -> Iterator[_Example | SourceError]:
    for place, cells in read_rows(path):
        if isinstance(cells, SourceError):
            yield cells
            continue
        if "text" not in cells or not ({"label", SCORE} & {*cells} or split == "test"):
            raise SourceError(
                f"The columns `text` and `label` or `score` are needed. Received: {list(cells)}",
                path=path, row=place, stage="read_source", reason="missing_column",
            )  # fmt: skip
        texts = [cells["text"], *([cells["text2"]] if "text2" in cells else [])]
        written = cells.get("split", split)
        found = None if written is None else _SPLITS.get(str(written).strip().lower())
        if written is not None and found is None:
            yield bad_row(place, f"the split must be train, val or test. Received: {written!r}", "bad_split")
            continue
        label = _score(place, cells[SCORE]) if SCORE in cells else _class(cells.get("label"))
        yield label if isinstance(label, SourceError) else _checked(place, tuple(texts), label, found)


def _checked(place: str, texts: tuple[Any, ...], label: Any, split: str | None) -> _Example | SourceError:
    for text in texts:
        if not isinstance(text, str) or not text.strip():
            return bad_row(place, f"a text must be there. Received: {text!r}")
        if not is_text(text) or (isinstance(label, str) and not is_text(label)):
            return bad_row(place, "the row holds bytes that are not UTF-8", "bad_encoding")
    if label is None and split != "test":
        return bad_row(place, "a label must be there, outside the split test", "bad_label")
    return _Example(place, texts, label, split)


def _class(cell: Any) -> str | None:
    """A label as text; `None` where there is none."""
    text = "" if cell is None else str(cell).strip()
    return text or None


def _score(place: str, cell: Any) -> float | SourceError | None:
    if _class(cell) is None:
        return None
    try:
        score = float(cell)
    except (TypeError, ValueError):
        score = math.nan
    if not math.isfinite(score):
        return bad_row(place, f"the score must be a number. Received: {cell!r}", "bad_label")
    return score


def _named_labels(
    path: Path, label_names: Sequence[str] | None, examples: Sequence[_Example]
) -> tuple[str, ...]:
    if label_names is not None:
        tasks = tasks_of(label_names)
        if set(tasks) != {TASK}:
            raise ConfigError(
                f"The model answers {sorted(tasks)}; these are texts of a task of their own.",
                path=path, stage="open_data", reason="bad_value",
            )  # fmt: skip
        return tasks[TASK]
    found = {example.label for example in examples if example.label is not None}
    if any(isinstance(label, float) for label in found):
        return (SCORE,)
    if len(found) < 2 and examples:
        raise SourceError(
            f"At least two labels are needed. Received: {sorted(found)}",
            path=path, stage="read_source", reason="bad_label",
        )  # fmt: skip
    return tuple(sorted(found))


def _as_set(
    split: str, examples: Sequence[_Example], named: tuple[str, ...], problems: list[SourceError]
) -> TextSet:
    chosen = [example for example in examples if example.split == split]
    labelled = [example for example in chosen if example.label is not None]
    is_score, labels, kept, numbers = named == (SCORE,), [], [], []
    for number, example in enumerate(chosen):
        if labelled and example.label is None:
            problems.append(bad_row(example.place, "a label must be there, as others have one", "bad_label"))
        elif labelled and (isinstance(example.label, float) != is_score or not _fits(example.label, named)):
            message = f"the label must be one of {list(named)}. Received: {example.label!r}"
            problems.append(bad_row(example.place, message, "bad_label"))
        else:
            kept.append(example)
            numbers.append(number)
            labels.append(example.label if is_score or not labelled else named.index(example.label))
    array = np.asarray(labels, np.float32 if is_score else np.int32) if labelled else None
    texts, ids = tuple(example.texts for example in kept), tuple(example.place for example in kept)
    return TextSet(TASK, TASK, split, texts, array, ids, tuple(numbers), len(chosen))


def _fits(label: str | float | None, named: tuple[str, ...]) -> bool:
    return isinstance(label, float) or label in named


def _dealt(examples: Sequence[_Example], test_fraction: float) -> list[_Example]:
    """The examples with splits: of each label, the texts of smallest hash are held out."""
    digests: dict[Any, dict[tuple[str, ...], bytes]] = defaultdict(dict)
    for example in examples:
        label = None if isinstance(example.label, float) else example.label
        digests[label][example.texts] = hashlib.sha256("\0".join(example.texts).encode()).digest()
    tested = set().union(*(held_out(of_label, test_fraction) for of_label in digests.values()))
    return [
        _Example(example.place, example.texts, example.label, "test" if example.texts in tested else "train")
        for example in examples
    ]
