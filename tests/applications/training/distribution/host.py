"""A script: one of two hosts that train the toy task.

Arguments: run, coordinator, process, before which step to get which signal.
"""

import os
import sys

import keras
from rich.console import Console

from tests.applications.training import toy_task
from zorro_keras.applications.training import callbacks
from zorro_keras.applications.training.config import apply_overrides
from zorro_keras.applications.training.distribution.hosts import join
from zorro_keras.applications.training.fit import train

if __name__ == "__main__":
    run, coordinator, process, last_step, number = *sys.argv[1:3], *map(int, sys.argv[3:])
    toy_task.NUM_TEST = 16
    toy_task.install(toy_task)
    settings = ["training.ema_momentum=0.9"]
    if keras.backend.backend() == "tensorflow":  # where each device draws its own dropout
        settings += ["model.rates=[0.0]"]
    if coordinator:
        settings += ["training.distribute=data"]
        join(coordinator, 2, process)
    steps, begin = [], callbacks.ProgressBar.on_train_batch_begin

    def signalled(self, batch, logs=None):
        steps.append(batch)
        if len(steps) == last_step:
            os.kill(os.getpid(), number)
        begin(self, batch, logs)

    callbacks.ProgressBar.on_train_batch_begin = signalled
    console = Console(file=sys.stderr, width=200)
    print(train("toy", apply_overrides(toy_task.Config(), settings), "points-1", run, console=console))
