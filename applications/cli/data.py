"""Commands that make and pack data."""

from __future__ import annotations

import dataclasses
import math
import sys
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from zorro_keras.applications.cli.words import Sources, Task, print_json, progress, require
from zorro_keras.applications.pipelines.faults import ConfigError


@dataclasses.dataclass(frozen=True)
class Clips:
    """Writes real video clips that need both ears and eyes: 8 event classes with known ceilings."""

    out: Positional[Path]
    """Folder to write."""
    count: int = 960
    """Training clips."""
    seed: int = 0
    """Decides every clip."""

    def run(self) -> int:
        require(self, count=(self.count >= 8, "at least 8"), seed=(self.seed >= 0, "at least 0"))
        from zorro_keras.applications.pipelines.generated_clips import generate_clips

        with progress("clips") as on_progress:
            generate_clips(str(self.out), count=self.count, seed=self.seed, on_progress=on_progress)
        return 0


@dataclasses.dataclass(frozen=True)
class Prepare:
    """Packs sound and video into shards, and reports which were used, which skipped, and why."""

    task: Task
    source: Sources
    """Public data set, class folders, CSV, list of paths or ids, or shards of another library. May be given
    again: the clips of several are mixed, without labels unless all have the same."""
    out: Path
    """Folder for the shards."""
    sample_rate_hz: int = 16_000
    """Sound is resampled to this."""
    frame_rate_hz: float = 25.0
    """Pictures kept per second."""
    shorter_side_px: int = 256
    """Pictures are scaled to this, their shape is kept."""
    max_seconds: float = 10.0
    """Longer clips are cut here."""
    num_workers: int = 2
    """Processes that decode."""
    max_worker_bytes: int | None = 4 * 2**30
    """Memory each of them may use. `None` is no limit."""
    on_error: Literal["raise", "skip", "drop_modality"] = "skip"
    """What to do with a damaged clip."""
    max_bad_fraction: float = 0.01
    """Share of bad clips that stops the run."""
    test_fold: int | None = None
    """Fold of ESC-50 that is tested. 1 by default."""

    def run(self) -> int:
        self._check()
        from zorro_keras.applications.training.task import task_module

        settings = dataclasses.asdict(self)
        task, source, out = (settings.pop(name) for name in ("task", "source", "out"))
        if not source:
            raise ConfigError("Give at least one `--source`.", stage="command", reason="bad_value")
        prepare = getattr(task_module(task, "commands"), "prepare", None)
        if prepare is None:
            raise ConfigError(
                f"`{task}` has nothing to prepare: it reads its data as they are.",
                stage="command", reason="bad_value",
                advice=f"Give them to `zorro-keras train {task} --data`.",
            )  # fmt: skip
        with progress("clips") as on_progress:
            coverage = prepare(source, out, **settings, on_progress=on_progress)
        if cut := coverage["clips"]["shortened"]:
            said = f"{cut} clips were cut to their first {self.max_seconds:g} s (--max-seconds)."
            print(said, file=sys.stderr)  # not into the JSON
        return print_json(coverage)

    def _check(self) -> None:
        positive = ("sample_rate_hz", "frame_rate_hz", "shorter_side_px", "max_seconds", "num_workers")
        require(self, **{name: (0 < getattr(self, name) < math.inf, "positive") for name in positive})
        require(
            self,
            max_worker_bytes=(self.max_worker_bytes is None or self.max_worker_bytes > 0, "positive"),
            max_bad_fraction=(0 <= self.max_bad_fraction <= 1, "within [0, 1]"),
        )
