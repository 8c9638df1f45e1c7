"""Says which files beside the data were left aside, so that none vanishes without a word."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

_NAMED = 5


def report_ignored(data: Any, console: Console) -> None:
    """Prints how many files of a source count for nothing, and names the first; nothing where all count.

    Args:
        data: opened data. Those that were found in folders have `ignored`, a tuple of paths.
        console: where to print.
    """
    ignored = getattr(data, "ignored", ())
    if ignored:
        files = "1 file" if len(ignored) == 1 else f"{len(ignored)} files"
        rest = f" and {len(ignored) - _NAMED} more" if len(ignored) > _NAMED else ""
        # Names come from outside: as `Text` they are shown as they are, without markup.
        console.print(
            Text(
                f"Note: ignored {files}, of a kind that is not read here or on no list: "
                f"{', '.join(ignored[:_NAMED])}{rest}."
            )
        )
