"""A script: one of two hosts that train the toy task. Arguments: run, port, process, and when to die."""

import os
import signal
import sys

from rich.console import Console

from tests.applications.training import toy_task
from zorro_keras.applications.training import callbacks
from zorro_keras.applications.training.config import apply_overrides
from zorro_keras.applications.training.distribution.hosts import join
from zorro_keras.applications.training.fit import train

if __name__ == "__main__":
    run, port, process, last_step = sys.argv[1], *map(int, sys.argv[2:])
    toy_task.NUM_TEST = 16
    toy_task.install(toy_task)
    settings = ["training.ema_momentum=0.9"]
    if port:
        settings += ["training.distribute=data"]
        join(f"localhost:{port}", 2, process)
    steps, begin = [], callbacks.ProgressBar.on_train_batch_begin

    def dying(self, batch, logs=None):
        steps.append(batch)
        if len(steps) == last_step:
            os.kill(os.getpid(), signal.SIGKILL)
        begin(self, batch, logs)

    callbacks.ProgressBar.on_train_batch_begin = dying
    console = Console(file=sys.stderr, width=200)
    print(train("toy", apply_overrides(toy_task.Config(), settings), "points-1", run, console=console))
