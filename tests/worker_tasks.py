"""Functions that test workers run: good, slow, deadly and broken ones."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import numpy as np

from zorro_keras.applications.pipelines.faults import MediaError


def double(task: int) -> int:
    """Twice the task."""
    return 2 * task


def process_id(task: Any) -> int:
    """The process that runs this."""
    return os.getpid()


def doubled_after_a_while(task: int) -> int:
    """Earlier tasks take longer, so that results come out of order."""
    time.sleep(0.05 * (task % 3 == 0))
    return 2 * task


def misbehave(task: str) -> Any:
    """Does what the task's name says."""
    if "hang" in task:
        time.sleep(3600)
    if "die" in task:
        os._exit(7)
    if "raise" in task:
        raise KeyError("surprise")
    if "refuse" in task:
        raise MediaError("Refused.", path=task, reason="corrupt")
    if "hoard" in task:
        raise MemoryError("too much")
    if "lambda" in task:
        return lambda: None
    if "print" in task:
        print("noise on standard output", flush=True)
        os.write(1, b"more noise")
    return np.full(300_000, len(task), np.uint8)


def fill_megabytes(task: str) -> tuple[int, int]:
    """Fills as much memory as the task's name says. Returns the process and the megabytes."""
    block = np.ones(int(task.partition("_")[0]) * 2**20, np.uint8)
    return os.getpid(), block.size // 2**20


def heavy_modules(task: Any) -> list[str]:
    """Which heavy packages the worker has imported."""
    return [name for name in ("keras", "tensorflow", "jax", "torch") if name in sys.modules]
