"""A folder that is written as a whole, and replaces only what the same command wrote there before."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training.output_folder import output_folder
from zorro_keras.applications.training.run_folder import full_disk_named


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
    inside = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else None
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
    """Gives the name of a new folder beside `path`, which takes its place once the block has ended well.

    What was there before stays until then, and if the new one cannot take its place. What is put beside the
    new folder goes away.

    Raises:
        ConfigError: if the folder above cannot be made.
        CheckpointError: if the new folder cannot take its place.
    """
    output_folder(path.parent)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as work:
        new, earlier = Path(work) / "new", Path(work) / "earlier"
        yield new
        with full_disk_named(path):
            if path.exists():
                os.rename(path, earlier)
            try:
                os.rename(new, path)
            except OSError:
                if earlier.exists():
                    os.rename(earlier, path)
                raise
