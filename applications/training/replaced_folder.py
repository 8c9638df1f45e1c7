"""A folder that is written as a whole, and replaces only what the same command wrote there before."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training.output_folder import output_folder
from zorro_keras.applications.training.run_folder import full_disk_named

_WORK = ".replaced."  # of a folder that a killed process left, the next replacement takes care


def check_replaceable(path: Path, rule: str, *, earlier: bool, names: Iterable[str], stage: str) -> None:
    """Refuses a folder with anything in it that its replacement would lose.

    Args:
        path: what is to be replaced. It may be missing, or an empty folder.
        rule: str. What it must be, as a sentence without its point.
        earlier: bool. Whether it says of itself that the same command wrote it.
        names: patterns of all names that the command writes into it.
        stage: str. Of the error.

    Raises:
        ConfigError: naming what else is there.
    """
    if not path.exists():
        return
    inside = None
    if path.is_dir():
        inside = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith(_WORK))
    if inside == []:
        return
    if inside is None or not earlier:
        raise ConfigError(
            f"{rule}.", path=path, stage=stage, reason="bad_value", advice="Choose another folder."
        )
    if strange := [name for name in inside if not any(fnmatchcase(name, pattern) for pattern in names)]:
        raise ConfigError(
            f"{rule}, and nothing else that would be lost. Received a folder with: {strange[0]}",
            path=path, stage=stage, reason="bad_value",
            advice="Choose another folder, or move what is yours out of this one.",
        )  # fmt: skip


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Gives the name of a new folder, whose content is that of `path` once the block has ended well.

    What was there before stays until then, and if the new content cannot take its place. A folder that is
    there stays the same folder: it may be the one that a shell is in, or where a volume is mounted. What is
    put beside the new folder goes away.

    Raises:
        ConfigError: if the folder cannot be made or written.
        CheckpointError: if the new content cannot take its place.
    """
    is_new = not path.exists()
    output_folder(path)
    try:
        with _work_folder(path) as work:
            new, earlier = work / "new", work / "earlier"
            earlier.mkdir()
            yield new
            with full_disk_named(path):
                before = [entry for entry in path.iterdir() if entry != work]
                _move_all([(entry, earlier) for entry in before] + [(entry, path) for entry in new.iterdir()])
    except BaseException:
        if is_new:
            with suppress(OSError):
                path.rmdir()
        raise


@contextmanager
def _work_folder(path: Path) -> Iterator[Path]:
    try:
        made = tempfile.TemporaryDirectory(dir=path, prefix=_WORK)
    except OSError as error:
        raise ConfigError(
            f"The output folder cannot be written: {error.strerror or error}.",
            path=path, stage="write", reason="not_writable",
        ) from error  # fmt: skip
    with made as work:
        yield Path(work)


def _move_all(moves: Iterable[tuple[Path, Path]]) -> None:
    """Moves each into the folder beside it, or none."""
    moved = []
    try:
        for source, folder in moves:
            os.rename(source, folder / source.name)
            moved.append((folder / source.name, source))
    except BaseException:
        for there, back in reversed(moved):
            os.rename(there, back)
        raise
