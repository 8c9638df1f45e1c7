"""A folder of generated data notes how they were made, so that they are never mixed with others."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from zorro_keras.applications.pipelines.faults import ConfigError


def claim_folder(note: str | os.PathLike[str], kind: str, settings: dict[str, Any]) -> None:
    """Writes the settings of generated data into the note of their folder; refuses a note that differs.

    Args:
        note: path of the note, a JSON file. Its folder is made if it does not exist.
        kind: str. What the data are, in the plural.
        settings: what JSON holds.

    Raises:
        ConfigError: if the folder holds data of other settings.
    """
    note = Path(note)
    note.parent.mkdir(parents=True, exist_ok=True)
    if not note.exists():
        temporary = note.with_name(f"{note.name}.tmp")
        temporary.write_text(json.dumps(settings), encoding="utf-8")
        os.replace(temporary, note)
        return
    found = json.loads(note.read_text(encoding="utf-8"))
    if found != settings:
        raise ConfigError(
            f"`out` must be a new folder or hold {kind} of the same settings {settings}. "
            f"Received: out={str(note.parent)!r} with {kind} of {found}",
            path=note.parent, stage="generate", reason="bad_value",
            advice="Choose another folder, or delete this one first.",
        )  # fmt: skip
