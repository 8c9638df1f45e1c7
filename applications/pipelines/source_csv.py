"""Reads a list of clips from a CSV file, whatever its line ends, byte order mark and quoting."""

import csv
import math
from collections.abc import Iterator
from typing import Any

from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.source_rows import SourceRow

_ID_COLUMNS = ("filename", "id", "video_id", "youtube_id", "ytid")


def read_csv_rows(path: str) -> tuple[list[SourceRow], list[SourceError]]:
    """Reads the rows of a CSV file with a header.

    The columns are `path`, `label` (or `labels`; several are separated by `;`) and optionally `start`, `end`
    and `split`, in any order; others are ignored.

    Args:
        path: str. The file, UTF-8 with or without a byte order mark.

    Returns:
        The rows, unchecked, and a `SourceError` for each row whose cells do not fit the header.

    Raises:
        SourceError: If the file has no header with the columns needed.
    """
    rows, problems = [], []
    records = csv_records(path)
    _, header = next(records, (0, []))
    columns = _find_columns(path, header)
    for line, cells in records:
        if isinstance(cells, csv.Error) or len(cells) != len(header):
            problems.append(bad_row(path, f"line {line}", f"{len(header)} cells like the header", cells))
            continue
        cell = {name: cells[index] for name, index in columns.items()}
        labels = tuple(label.strip() for label in cell.pop("label").split(";"))
        rows.append(SourceRow(place=f"line {line}", labels=labels, **_stripped(cell)))
    return rows, problems


def csv_records(path: str, **options: Any) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """Each record of a CSV that is not blank, or the error in its place, with the number of its first line.

    Args:
        path: str. The file, UTF-8 with or without a byte order mark.
        **options: of `csv.reader`.
    """
    # Bytes that are not UTF-8 become lone surrogates, so that each row with such bytes can be named.
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        yield from _records(csv.reader(file, strict=True, **options))


def bad_row(path: str, place: str, expected: str, received: list[str] | str | csv.Error) -> SourceError:
    """The problem of a row that cannot be read."""
    wrong = f"{len(received)} cells, {received[:6]}" if isinstance(received, list) else str(received)
    message = f"the row must have {expected}. Received: {wrong}"
    return SourceError(message, path=path, row=place, stage="read_source", reason="bad_row")


def number(text: str) -> float | None:
    """The finite number that a text is, if it is one."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def names_columns(cells: list[str]) -> bool:
    """Whether a record is a header that a copy of an official list has, where the list itself has none."""
    return cells[0].strip().lower() in _ID_COLUMNS


def _records(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str] | csv.Error]]:
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, error
            continue
        if cells:
            yield line, cells


def _find_columns(path: str, header: list[str] | csv.Error) -> dict[str, int]:
    names = [] if isinstance(header, csv.Error) else [name.strip().lower() for name in header]
    names = ["label" if name == "labels" else name for name in names]
    if names.count("path") != 1 or names.count("label") != 1:
        raise SourceError(
            f"The first line must be a header with a column `path` and a column `label`. Received: {header}",
            path=path,
            row="line 1",
            stage="read_source",
            reason="missing_column",
        )
    return {name: names.index(name) for name in ("path", "label", "start", "end", "split") if name in names}


def _stripped(cells: dict[str, str]) -> dict[str, str]:
    return {name: text.strip() for name, text in cells.items()}
