"""A script: runs on TensorFlow that a kill ends on some devices, to go on on others. Prints a line of JSON.

Its arguments are a folder for the runs and the number of devices: 4 for the first process, 2 for the second,
because the devices of a process must all stay in one strategy.
"""

import io
import json
import sys
from pathlib import Path

import tensorflow as tf
from rich.console import Console

from tests.applications.training import toy_task
from tests.applications.training.distribution.devices import difference
from tests.applications.training.resume import Killed, killed_at_save
from zorro_keras.applications.pipelines.faults import TrainingError
from zorro_keras.applications.training.config import apply_overrides
from zorro_keras.applications.training.fit import train


def go(run, distribute, kill_at=None, *more):
    """Trains; dies while a checkpoint is written, if asked. Returns what was printed."""
    # Each device would draw its own dropout.
    settings = [f"training.distribute={distribute}", "training.ema_momentum=0.9", "model.rates=[0.0]", *more]
    said = io.StringIO()
    config = apply_overrides(toy_task.Config(), settings)
    try:
        with killed_at_save(kill_at):
            train("toy", config, "points-1", str(run), console=Console(file=said, width=200))
    except (Killed, TrainingError) as error:
        said.write(str(error))
    return said.getvalue()


def main(folder, num_devices):
    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * num_devices
    tf.config.set_logical_device_configuration(cpu, devices)
    toy_task.NUM_TEST = 16  # the batch of the test split is divided, too
    toy_task.install(toy_task)
    if num_devices == 4:
        return {"on_four": go(folder / "run", "data", 2)}
    go(folder / "unbroken", "none")
    said = {"on_two": go(folder / "run", "data", 2), "on_one": go(folder / "run", "none")}
    of_tensors, of_metrics = difference(folder / "run", folder / "unbroken")
    faulty = go(folder / "faulty", "data", None, "data.bad_step=8")
    return {**said, "of_tensors": of_tensors, "of_metrics": of_metrics, "faulty": faulty}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
