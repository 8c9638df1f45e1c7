"""A process that takes the steps of a planned training and prints by how much its memory grew at the most."""

import ctypes
import json
import sys
from pathlib import Path

import jax
import numpy as np

from zorro_keras.applications.plan.shapes_only import shaped_model, with_batch_size
from zorro_keras.applications.training.config import apply_overrides
from zorro_keras.applications.training.task import named_config, task_module


def kilobytes(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0])


def main(task: str, name: str, batch_size: str, *overrides: str) -> None:
    config = with_batch_size(apply_overrides(named_config(task, name), overrides), int(batch_size))
    label_names = task_module(task, "batch_shapes").label_names(name, config)
    shaped = shaped_model(task, config, label_names)
    step = jax.jit(shaped.model.train_step, donate_argnums=0).lower(shaped.state, shaped.data).compile()
    ctypes.CDLL(None).malloc_trim(0)  # what compiling has left must not be used again unseen
    before = kilobytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the highest so far starts anew
    state, data = jax.tree.map(
        lambda array: jax.device_put(np.ones(array.shape, array.dtype)), (shaped.state, shaped.data)
    )
    for _ in range(2):
        logs, state = jax.block_until_ready(step(state, data))
    print(json.dumps(1024 * (kilobytes("VmHWM") - before)))


if __name__ == "__main__":
    main(*sys.argv[1:])
