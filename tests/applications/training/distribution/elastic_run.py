"""A script: a run killed on eight devices goes on on fewer. Prints one line of JSON.

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
from zorro_keras.applications.training.fit import train

ALL = keras.distribution.list_devices()
toy_task.NUM_TEST = 16  # the batch of the test split is divided, too
toy_task.install(toy_task)


def go(run, num_devices, distribute="data", kill_at=None):
    """Trains on the first devices; dies while a checkpoint is written, if asked. Returns what was printed."""
    keras.distribution.list_devices = lambda: ALL[:num_devices]
    settings = [f"training.distribute={distribute}", "training.ema_momentum=0.9"]
    said = io.StringIO()
    config = apply_overrides(toy_task.Config(), settings)
    with suppress(Killed), killed_at_save(kill_at):
        train("toy", config, "points-1", str(run), console=Console(file=said, width=200))
    return said.getvalue()


if __name__ == "__main__":
    folder, found = Path(sys.argv[1]), {}
    go(folder / "unbroken", 1, "none")
    for num_devices, distribute in ((8, "data"), (2, "data"), (1, "none")):
        run = folder / f"on-{num_devices}"
        started = go(run, 8, kill_at=3)
        said = go(run, num_devices, distribute)
        found[num_devices] = [*difference(run, folder / "unbroken"), started, said]
    print(json.dumps(found))
