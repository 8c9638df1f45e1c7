"""Reads a list of clips from a CSV file, whatever its line ends, byte order mark and quoting."""

import csv
from collections.abc import Iterator

from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.source_rows import SourceRow


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
    # Bytes that are not UTF-8 become lone surrogates, so that each row with such bytes can be named.
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        records = _records(csv.reader(file, strict=True))
        _, header = next(records, (0, []))
        columns = _find_columns(path, header)
        for line, cells in records:
            if isinstance(cells, csv.Error) or len(cells) != len(header):
                wrong = str(cells) if isinstance(cells, csv.Error) else f"{len(cells)} cells"
                message = f"the row must have {len(header)} cells like the header. Received: {wrong}"
                problems.append(
                    SourceError(message, path=path, row=f"line {line}", stage="read_source", reason="bad_row")
                )
                continue
            cell = {name: cells[index] for name, index in columns.items()}
            labels = tuple(label.strip() for label in cell.pop("label").split(";"))
            rows.append(SourceRow(place=f"line {line}", labels=labels, **_stripped(cell)))
    return rows, problems


def _records(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """Each record that is not blank, or the error in its place, with the number of its first line."""
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
