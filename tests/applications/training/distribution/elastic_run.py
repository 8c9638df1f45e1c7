"""A script: a run killed on eight devices goes on on fewer. Prints one line of JSON.

Its argument is a folder for the runs. Eight virtual devices must have been asked for.
"""

import io
import json
import sys
from pathlib import Path

import keras
import numpy as np
from rich.console import Console
from safetensors.numpy import load_file

from tests.applications.training import toy_task
from tests.applications.training.resume import Killed
from zorro_keras.applications.training import checkpoint
from zorro_keras.applications.training.config import apply_overrides
from zorro_keras.applications.training.fit import train

ALL = keras.distribution.list_devices()
toy_task.NUM_TEST = 16  # the batch of the test split is divided, too
toy_task.install(toy_task)


def go(run, num_devices, distribute="data", kill_at=None):
    """Trains on the first devices; dies while a checkpoint is written, if asked. Returns what was printed."""
    keras.distribution.list_devices = lambda: ALL[:num_devices]
    settings = [f"training.distribute={distribute}", "training.ema_momentum=0.9"]
    write, calls = checkpoint._write_state, []

    def killing(*args):
        calls.append(args)
        if len(calls) == kill_at:
            raise Killed
        write(*args)

    checkpoint._write_state = killing
    said = io.StringIO()
    try:
        config = apply_overrides(toy_task.Config(), settings)
        train("toy", config, "points-1", str(run), console=Console(file=said, width=200))
    except Killed:
        pass
    finally:
        checkpoint._write_state = write
    return said.getvalue()


def state(run):
    newest = max((run / "checkpoints").glob("step-*"))
    rows = [json.loads(line)["metrics"] for line in (run / "log.jsonl").read_text().splitlines()]
    return newest.name, load_file(newest / "variables.safetensors"), rows


def difference(run, unbroken):
    """Returns the largest difference of two runs' tensors, beside their size, and of their metrics."""
    (name, tensors, rows), (name_too, tensors_too, rows_too) = state(run), state(unbroken)
    assert name == name_too and tensors.keys() == tensors_too.keys() and len(rows) == len(rows_too)
    pairs = [(tensors[key].astype(float), tensors_too[key].astype(float)) for key in tensors]
    of_tensors = max(np.abs(a - b).max() / max(np.abs(b).max(), 1e-3) for a, b in pairs)
    return float(of_tensors), max(
        abs(row[key] - row_too[key]) for row, row_too in zip(rows, rows_too, strict=True) for key in row
    )


if __name__ == "__main__":
    folder, found = Path(sys.argv[1]), {}
    go(folder / "unbroken", 1, "none")
    for num_devices, distribute in ((8, "data"), (2, "data"), (1, "none")):
        run = folder / f"on-{num_devices}"
        started = go(run, 8, kill_at=3)
        said = go(run, num_devices, distribute)
        found[num_devices] = [*difference(run, folder / "unbroken"), started, said]
    print(json.dumps(found))
