"""The folder of one run: where each file lives, one writer at a time, and files that are whole or absent."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from zorro_keras.applications.pipelines.faults import CheckpointError, ConfigError

# What a training overwrites, or makes anew.
_WRITTEN = ("checkpoints", "log.jsonl", "tensorboard", "preset")


class RunFolder:
    """Names the files of a run.

    Args:
        path: str or path. Made when it does not exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.json"
        self.checkpoints = self.path / "checkpoints"
        self.log_file = self.path / "log.jsonl"
        self.tensorboard = self.path / "tensorboard"
        self.preset = self.path / "preset"
        self.faults_file = self.path / "faults.jsonl"
        self.report = self.path / "report"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the run for one writer. The system lets go when the process ends, however it ends.

        Raises:
            ConfigError: if the folder holds something else than a run.
            CheckpointError: if another process trains into this folder, or the folder cannot be made.
        """
        self.check_ours()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = open(self.path / ".lock", "a")  # noqa: SIM115 (closed below, after the run)
        except OSError as error:
            raise CheckpointError(
                f"The run folder cannot be written: {error.strerror}.",
                path=self.path, stage="open_run", reason="not_writable",
            ) from error  # fmt: skip
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise CheckpointError(
                    "Another process is training into this run folder.",
                    path=self.path, stage="open_run", reason="locked",
                ) from error  # fmt: skip
            yield

    def check_ours(self) -> None:
        """Refuses a folder that no run has begun in: one would overwrite what has the names of its files.

        Raises:
            ConfigError: if it holds something else than a run, or a run whose `config.json` is damaged.
        """
        if not self.path.is_dir():
            return
        if self.config_file.exists():
            self.read_config()
            return
        inside = {entry.name for entry in self.path.iterdir()}
        lost = [name for name in _WRITTEN if name in inside]
        if lost and ".lock" not in inside:  # which a run has that was stopped as it began
            raise ConfigError(
                "The folder of a run must be new, or hold a run: another's files would be overwritten. "
                f"Received a folder with: {lost[0]}",
                path=self.path, stage="open_run", reason="bad_value", advice="Choose another folder.",
            )  # fmt: skip

    def read_config(self) -> dict[str, Any]:
        """What `config.json` says.

        Raises:
            ConfigError: if the folder holds no run, or the file is damaged.
        """
        try:
            values = json.loads(self.config_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigError(
                "This folder holds no run: it has no config.json.",
                path=self.path, stage="open_run", reason="missing_file",
            ) from None  # fmt: skip
        except ValueError as error:
            raise ConfigError(
                f"config.json is not readable: {error}.",
                path=self.config_file,
                stage="open_run",
                reason="bad_value",
            ) from error
        if not isinstance(values, dict) or "task" not in values:
            raise ConfigError(
                "This folder holds no run: its config.json names no task.",
                path=self.path, stage="open_run", reason="bad_value",
                advice="Give the folder that `zorro-keras train` wrote, or a new one to train into. A preset "
                "can be asked and exported, and one of image_classification, masked_language or optical_flow "
                "evaluated.",
            )  # fmt: skip
        return values

    def write_config(self, values: Mapping[str, Any]) -> None:
        """Writes `config.json` in one piece."""
        write_atomically(self.config_file, json.dumps(values, indent=2, sort_keys=True) + "\n")

    def rewrite_log(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Makes `log.jsonl` equal to `history`: rows a killed run wrote after its last checkpoint go."""
        write_atomically(self.log_file, "".join(json.dumps(row) + "\n" for row in history))

    def replace_preset(self, save: Callable[[str], None]) -> None:
        """Lets `save` write a preset to the folder it is given, and puts that in place in one step."""
        partial = self.path / ".preset.partial"
        with full_disk_named(self.preset):
            shutil.rmtree(partial, ignore_errors=True)
            save(str(partial))
            for path in [*partial.rglob("*"), partial]:
                sync_file(path)
            shutil.rmtree(self.preset, ignore_errors=True)
            os.rename(partial, self.preset)
            sync_folder(self.path)

    def write_fault(self, fault: Mapping[str, Any]) -> None:
        """Keeps a fault in `faults.jsonl`; a full disk must not hide the fault itself."""
        with suppress(OSError), open(self.faults_file, "a", encoding="utf-8") as file:
            file.write(json.dumps(fault) + "\n")


def write_atomically(path: Path, text: str) -> None:
    """Writes `text` so that `path` holds all of it or what it held before."""
    partial = path.with_name(f".{path.name}.partial")
    with full_disk_named(path):
        with open(partial, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Waits until the bytes of `path` are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Waits until the names in the folder `path` are on the disk."""
    sync_file(path)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, as hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def full_disk_named(path: Path) -> Iterator[None]:
    """Turns "no space left" and other write errors into a CheckpointError that names `path`."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        full = _number_of(error) in (errno.ENOSPC, errno.EDQUOT)
        raise CheckpointError(
            f"{path.name} could not be written: {getattr(error, 'strerror', None) or error}.",
            path=path, stage="save", reason="disk_full" if full else "not_writable",
        ) from error  # fmt: skip


def _number_of(error: Exception) -> int | None:
    """The system's number of an error; safetensors and HDF5 say it in their message alone."""
    said = re.search(r"(?:os error|errno =) (\d+)", str(error))
    return int(said[1]) if said else getattr(error, "errno", None)
