"""The texts that a person gave to a command: a text itself, a file of texts, or a folder of such files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from zorro_keras.applications.pipelines.faults import ConfigError, SourceError
from zorro_keras.applications.pipelines.text_formats import kind_of, texts_of_file
from zorro_keras.applications.pipelines.text_rows import TABLES, kind_of_rows, open_text, read_rows

Texts = tuple[str, ...]


def texts_of_argument(
    source: str | os.PathLike[str], columns: Sequence[str] = ("text",), separators: Sequence[str] = ()
) -> list[Texts]:
    """Reads what a command is asked about.

    Args:
        source: one of
            a text;
            a file `.txt` with a text on each line;
            a table `.csv`, `.tsv`, `.jsonl` or `.parquet` with `columns`;
            a file `.tfrecord` with the first of the columns;
            any of these but parquet with `.gz` behind its name; or a folder of them.
        columns: names of the columns of a text. The first must be there, the others may be.
        separators: what may stand between the texts of a pair in a line; the first that is found counts.

    Returns:
        The texts in the order of names and lines, each a tuple of as many parts as it has; blank ones are
        left out.

    Raises:
        ConfigError: if there is no text, or no file of the name given.
        SourceError: if a file cannot be read, is not UTF-8, or lacks a column.
    """
    files = _files(source) if os.fspath(source) else None  # no name is not that of the folder one is in
    if files is None:
        found = list(_parts([str(source)], separators))
    else:
        found = [text for file in files for text in _texts(file, columns, separators)]
    if not found:
        raise ConfigError("There is no text.", path=source, stage="predict", reason="empty_source")
    return found


def _files(source: str | os.PathLike[str]) -> list[Path] | None:
    """The files that an argument names; `None` for a text."""
    path = Path(source)
    # A text may be longer than a name may be, or hold what no name holds.
    try:
        if path.is_dir():
            inside = sorted(path.rglob("*"))
            return [file for file in inside if _is_known(file.name) and file.is_file()]
        if path.is_file():
            return [path]
    except (OSError, ValueError):
        return None
    if _is_known(path.name) and not any(letter.isspace() for letter in path.name):
        raise ConfigError("There is no such file.", path=path, stage="predict", reason="missing_file")
    return None


def _is_known(name: str) -> bool:
    return not name.startswith(".") and (kind_of_rows(name) in TABLES or kind_of(name) is not None)


def _texts(path: Path, columns: Sequence[str], separators: Sequence[str]) -> Iterator[Texts]:
    if kind_of_rows(path.name) in TABLES:
        yield from _rows(path, columns)
    elif kind_of(path.name) in ("tfrecord", "json_lines"):
        yield from ((text,) for text in texts_of_file(path, field=columns[0]))
    else:
        try:
            with open_text(path) as file:
                yield from _parts(file, separators)
        except UnicodeDecodeError as error:
            raise SourceError(
                f"The text is not UTF-8: {error.reason}.",
                path=path, stage="read_source", reason="bad_encoding",
            ) from error  # fmt: skip
        except (OSError, EOFError) as error:
            raise SourceError(f"{error}.", path=path, stage="read_source", reason="corrupt") from error


def _rows(path: Path, columns: Sequence[str]) -> Iterator[Texts]:
    for place, cells in read_rows(path):
        if isinstance(cells, SourceError):
            raise cells
        if not isinstance(cells.get(columns[0]), str):
            raise SourceError(
                f"A column `{columns[0]}` is needed. Received: {list(cells)}",
                path=path, row=place, stage="read_source", reason="missing_column",
            )  # fmt: skip
        text = tuple(cells[name] for name in columns if isinstance(cells.get(name), str))
        if any(part.strip() for part in text):
            yield text


def _parts(lines, separators: Sequence[str]) -> Iterator[Texts]:
    for line in lines:
        if not line.strip():
            continue
        separator = next((each for each in separators if each in line), None)
        yield tuple(part.strip() for part in (line.split(separator, 1) if separator else [line]))
