"""What the commands share: the types of words that several take, and how they answer."""

from __future__ import annotations

import contextlib
import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, UseAppendAction, arg

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training.task import TASKS

Backend = Literal["jax", "tensorflow", "torch"]
Grid = Literal["even", "released"]
Task = Annotated[Positional[str], arg(metavar="TASK", help=f"One of {', '.join(TASKS)}.")]
Model = Annotated[Positional[Path], arg(metavar="RUN", help="Folder of a run, or of a preset.")]
Sources = Annotated[UseAppendAction[tuple[Path, ...]], arg(metavar="PATH")]
Overrides = Annotated[UseAppendAction[tuple[str, ...]], arg(name="set", metavar="KEY=VALUE")]


def accepted(function: Callable[..., Any], **options: tuple[str, Any]) -> dict[str, Any]:
    """The options that were given, `parameter=(what it is called, value)`, to hand to a command of a task.

    Raises:
        ConfigError: if one of them means nothing to the task.
    """
    given = {name: value for name, (_, value) in options.items() if value is not None}
    for name in given:
        if name not in inspect.signature(function).parameters:
            task = function.__module__.split(".")[-2]
            raise ConfigError(
                f"{options[name][0]} means nothing to `{task}`.", stage="command", reason="bad_value"
            )
    return given


def require(command: Any, **rules: tuple[bool, str]) -> None:
    """Refuses options that are out of their range, `option=(whether it is within, what it must be)`.

    Raises:
        ConfigError: naming the first of them.
    """
    for name, (is_within, wanted) in rules.items():
        if not is_within:
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(
                f"`{flag}` must be {wanted}. Received: {flag} {getattr(command, name)}",
                stage="command", reason="bad_value",
            )  # fmt: skip


def print_json(values: Any) -> int:
    """Prints a result as JSON, for people and programs."""
    print(json.dumps(values, indent=2, default=str))
    return 0


@contextlib.contextmanager
def progress(unit: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on the terminal, and the function of (done, total) that moves it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn(unit), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        row = bar.add_task(unit, total=None)
        yield lambda done, total: bar.update(row, completed=done, total=total)
