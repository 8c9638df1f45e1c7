"""Files of rows, whatever their format: each row as a dict of column to cell, with the place it stands at."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zorro_keras.applications.pipelines.faults import ConfigError, SourceError

TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
_MOST_LETTERS = (1 << 31) - 1  # of a cell: what the module `csv` can be told on every system
# What a reader yields: the place, for people, and the cells; or what is wrong with the row.
Row = tuple[str, dict[str, Any] | SourceError]


def kind_of_rows(name: str) -> str:
    """The suffix that says how a file is read, in lower case and without `.gz`; empty where there is none."""
    return Path(name.lower().removesuffix(".gz")).suffix


def read_rows(path: Path, place: str = "", headers: Sequence[Sequence[str]] = ()) -> Iterator[Row]:
    """Reads `.csv`, `.tsv`, `.txt` (as TSV), `.jsonl`, each also with `.gz`, or `.parquet`, by the suffix.

    In a CSV cells may be quoted; in a TSV nothing is: a quotation mark is a letter, as GLUE needs it. Names
    of columns are lower-cased.

    Args:
        path: the file, UTF-8 with or without a byte order mark.
        place: what to call the file in places; its name by default.
        headers: for a TSV without a header, the columns it may have instead, in order. A first line that
            names the last column of none of them is a row.

    Yields:
        `("file line 7", cells)`, or a `SourceError` in place of cells that do not fit the header.

    Raises:
        SourceError: if the file cannot be read.
        ConfigError: if parquet is to be read and pyarrow is not installed.
    """
    place, kind = place or path.name, kind_of_rows(path.name)
    if kind == ".parquet":
        yield from _parquet_rows(path, place)
        return
    try:
        # Bytes that are not UTF-8 become lone surrogates, so that each row with such bytes can be named.
        # Lines end at line feeds only: other separators may stand in a text.
        with open_text(path, errors="surrogateescape") as file:
            if kind == ".jsonl":
                yield from _json_rows(file, place)
            elif kind == ".csv":
                yield from _table_rows(_csv_records(file), place, headers)
            else:
                yield from _table_rows(_tsv_records(file), place, headers)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(
            f"The file cannot be read: {getattr(error, 'strerror', None) or error}.",
            path=path, stage="read_source", reason="missing_file" if _is_missing(error) else "corrupt",
        ) from error  # fmt: skip


def open_text(path: Path, errors: str = "strict"):
    """Opens a file of UTF-8, with or without a byte order mark, also packed by gzip, to read it as text.

    Args:
        path: the file; `.gz` at the end of its name means gzip.
        errors: as for `open`.
    """
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", errors=errors, newline="\n")
    return open(path, encoding="utf-8-sig", errors=errors, newline="\n")


def bad_row(place: str, message: str, reason: str = "bad_row") -> SourceError:
    """The error of one row."""
    return SourceError(message, row=place, stage="read_source", reason=reason)


def is_text(cell: str) -> bool:
    """False where reading had to smuggle in bytes that are not UTF-8."""
    return not any("\ud800" <= letter <= "\udfff" for letter in cell)


def _is_missing(error: Exception) -> bool:
    return isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile)


def _tsv_records(file) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(file, start=1):
        line = line.removesuffix("\n").removesuffix("\r")
        if line:
            yield number, line.split("\t")


def _csv_records(file) -> Iterator[tuple[int, list[str] | csv.Error]]:
    csv.field_size_limit(_MOST_LETTERS)  # of the whole process; a longer cell would break the rows after it
    reader = csv.reader(file, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, error
            continue
        if cells:
            yield number, cells


def _table_rows(records, place: str, headers: Sequence[Sequence[str]]) -> Iterator[Row]:
    columns = None
    for number, cells in records:
        where = f"{place} line {number}"
        if isinstance(cells, csv.Error):
            yield where, bad_row(where, str(cells))
            continue
        if columns is None:
            columns = [cell.strip().lower() for cell in cells]
            missing = [header for header in headers if header[-1] not in columns]
            if len(missing) < len(headers) or not headers:
                continue
            columns = list(headers[0])
        if len(cells) != len(columns):
            yield where, bad_row(where, f"the row must have {len(columns)} cells. Received: {len(cells)}")
        else:
            yield where, dict(zip(columns, cells, strict=True))


def _json_rows(file, place: str) -> Iterator[Row]:
    for number, line in enumerate(file, start=1):
        where = f"{place} line {number}"
        if not line.strip():
            continue
        try:
            cells = json.loads(line)
        except ValueError as error:
            yield where, bad_row(where, f"the line is no JSON: {error}")
            continue
        if isinstance(cells, dict):
            yield where, {str(name).lower(): cell for name, cell in cells.items()}
        else:
            yield where, bad_row(where, f"the line must be a JSON object. Received: {type(cells).__name__}")


def _parquet_rows(path: Path, place: str) -> Iterator[Row]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError(
            f"Reading parquet needs the package `pyarrow` ({error}): pip install pyarrow.",
            path=path, stage="read_source", reason="missing_dependency",
        ) from error  # fmt: skip
    try:
        rows = parquet.read_table(path).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise SourceError(
            f"The parquet file cannot be read: {error}.", path=path, stage="read_source", reason="corrupt"
        ) from error
    for number, cells in enumerate(rows):
        yield f"{place} row {number}", {name.lower(): cell for name, cell in cells.items()}
