"""Timing, memory and the table: what every benchmark here shares.

Two ways of doing the same work are timed in turns in one process, so that a busy machine slows both.
Each figure is the median over the turns.
"""

import argparse
import dataclasses
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: what was measured.
        value: the ratio or share that counts.
        target: the least it should be; with `at_most`, the most; `None` where there is no promise.
        at_most: bool, whether smaller is better.
        detail: the numbers behind the ratio, with units.
    """

    what: str
    value: float
    target: float | None = None
    at_most: bool = False
    detail: str = ""

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        good = self.value <= self.target if self.at_most else self.value >= self.target
        return "yes" if good else "NO"

    def __str__(self) -> str:
        sign = "<=" if self.at_most else ">="
        target = f"{sign} {self.target:g}" if self.target is not None else ""
        return f"{self.what:<52}{self.value:>9.3f}  {target:<8}{self.verdict:<5}{self.detail}"


def seconds_in_turns(runs: Sequence[Callable[[], object]], turns: int = 7, warm_up: int = 2) -> list[float]:
    """Median seconds of each of `runs`, called one after the other `turns` times after `warm_up` rounds."""
    times: list[list[float]] = [[] for _ in runs]
    for turn in range(warm_up + turns):
        for run, seconds in zip(runs, times, strict=True):
            start = time.perf_counter()
            run()
            if turn >= warm_up:
                seconds.append(time.perf_counter() - start)
    return [statistics.median(seconds) for seconds in times]


def resident_megabytes(*, peak: bool) -> float:
    """Resident memory of this process: now, or at its highest so far."""
    if peak:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def run_child(script: str, *arguments: str) -> dict:
    """Run a script of this folder in a new process and read the JSON on the last line it prints."""
    command = [sys.executable, str(Path(__file__).with_name(script)), *arguments]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def parser(description: str) -> argparse.ArgumentParser:
    """A parser with the option of every benchmark. It sets the backend: call it before Keras is imported."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print the rows as one line of JSON")
    return parser


def show(rows: Sequence[Row], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"rows": [dataclasses.asdict(row) for row in rows]}))
    else:
        print(*rows, sep="\n")
