"""A script: runs killed on eight devices go on on as many, on fewer, or split. Prints one line of JSON.

Its argument is a folder for the runs. Eight virtual devices must have been asked for.
"""

import io
import json
import sys
from contextlib import suppress
from pathlib import Path

import keras
from rich.console import Console

from tests.applications.training import toy_task
from tests.applications.training.distribution.devices import difference
from tests.applications.training.resume import Killed, killed_at_save
from zorro_keras.applications.training.config import apply_overrides
from zorro_keras.applications.training.distribution.layouts import MODEL, SPLIT_AXES
from zorro_keras.applications.training.fit import train

ALL = keras.distribution.list_devices()
toy_task.NUM_TEST = 16  # the batch of the test split is divided, too
toy_task.install(toy_task)
# The toy has neither attention nor MLPs: its two layers are split by their units.
SPLIT_AXES.update({r"dense(_\d+)?/kernel": (None, MODEL), r"dense(_\d+)?/bias": (MODEL,)})
WAYS = {  # how it begins, on eight devices, and on how many and how it goes on
    "8": ("data", 8, "data"),
    "2": ("data", 2, "data"),
    "1": ("data", 1, "none"),
    "split": ("model", 8, "model"),
}


def go(run, num_devices, distribute="data", kill_at=None):
    """Trains on the first devices; dies while a checkpoint is written, if asked. Returns what was printed."""
    keras.distribution.list_devices = lambda: ALL[:num_devices]
    settings = [f"training.distribute={distribute}", "training.ema_momentum=0.9", "model.units=12"]
    settings += ["training.model_devices=4"] if distribute == "model" else []
    said = io.StringIO()
    config = apply_overrides(toy_task.Config(), settings)
    with suppress(Killed), killed_at_save(kill_at):
        train("toy", config, "points-1", str(run), console=Console(file=said, width=200))
    return said.getvalue()


if __name__ == "__main__":
    folder, found = Path(sys.argv[1]), {}
    go(folder / "unbroken", 1, "none")
    for way, (begins, num_devices, goes_on) in WAYS.items():
        run = folder / way
        started = go(run, 8, begins, kill_at=3)
        said = go(run, num_devices, goes_on)
        found[way] = [*difference(run, folder / "unbroken"), started, said]
    print(json.dumps(found))
