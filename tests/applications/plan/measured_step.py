"""A process that plans steps of training, takes them, and prints what was said beside what they took.

Its words are `TASK CONFIG BATCH_SIZE [KEY=VALUE ...]` for each step, in one argument each.
"""

import ctypes
import gc
import json
import sys
from pathlib import Path

import jax
import numpy as np

from zorro_keras.applications.plan.memory import footprint
from zorro_keras.applications.plan.shapes_only import ShapedModel, shaped_model
from zorro_keras.applications.training.config import apply_overrides
from zorro_keras.applications.training.task import named_config, task_module


def resident(name: str) -> int:
    """Bytes of this process in memory, now (`VmRSS`) or at the most (`VmHWM`)."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition(f"{name}:")[2].split()[0])


def growth(shaped: ShapedModel) -> int:
    """By how many bytes this process grew while it took steps, compiled as `fit` compiles them."""
    step = jax.jit(shaped.model.train_step, donate_argnums=0).lower(shaped.state, shaped.data).compile()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what compiling has left would be used again unseen
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the highest so far starts anew
    state, data = jax.tree.map(
        lambda array: jax.device_put(np.ones(array.shape, array.dtype)), (shaped.state, shaped.data)
    )
    for _ in range(3):
        _, state = jax.block_until_ready(step(state, data))
    return resident("VmHWM") - before


def main(*steps: str) -> None:
    for words in steps:
        task, name, batch_size, *overrides = words.split()
        config = apply_overrides(named_config(task, name), overrides)
        label_names = task_module(task, "batch_shapes").label_names(name, config)
        shaped = shaped_model(task, config, label_names, int(batch_size))
        print(json.dumps([footprint(shaped).total, growth(shaped)]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
