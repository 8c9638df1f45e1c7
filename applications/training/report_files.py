"""The two files of a report: numbers for programs, and a page for people."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zorro_keras.applications.training.output_folder import output_folder
from zorro_keras.applications.training.run_folder import write_atomically


def write_report(folder: str | os.PathLike[str], report: Mapping[str, Any], page: str) -> dict[str, str]:
    """Writes `report.json` and `report.html`, each whole or not at all.

    Args:
        folder: made where it does not exist.
        report: what JSON holds; without NaN.
        page: HTML.

    Returns:
        Dict with `html` and `json`, the paths of the files.
    """
    folder = output_folder(Path(folder))
    files = {"html": folder / "report.html", "json": folder / "report.json"}
    write_atomically(files["html"], page)
    write_atomically(files["json"], json.dumps(report, indent=2, allow_nan=False) + "\n")
    return {kind: str(path) for kind, path in files.items()}
