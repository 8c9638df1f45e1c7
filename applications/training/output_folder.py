"""The folder that a command writes its answers into."""

from __future__ import annotations

from pathlib import Path

from zorro_keras.applications.pipelines.faults import ConfigError


def output_folder(path: Path) -> Path:
    """Makes a folder where it does not exist, and those above it; returns it.

    To be called once there is something to write: a source that cannot be read leaves nothing behind.

    Raises:
        ConfigError: `not_writable` if it cannot be made, such as where a file has its name.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"The output folder cannot be made: {error.strerror or error}.",
            path=path, stage="write", reason="not_writable",
        ) from error  # fmt: skip
    return path
