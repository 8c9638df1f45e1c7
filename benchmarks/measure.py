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


def compiled(function: Callable) -> Callable:
    """The function compiled as `fit` compiles on this backend; a call returns when the result is there."""
    import keras

    if keras.config.backend() == "jax":
        import jax

        jitted = jax.jit(function)
        return lambda *arrays: jax.block_until_ready(jitted(*arrays))
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True)
    return function


def compiled_call(model) -> Callable:
    """A model's call, compiled; on torch, without gradients."""
    import keras

    if keras.config.backend() == "jax":
        # Weights are arguments: as constants of the program, XLA would copy them into it.
        weights = [
            [variable.value for variable in variables]
            for variables in (model.trainable_variables, model.non_trainable_variables)
        ]
        call = compiled(lambda weights, inputs: model.stateless_call(*weights, inputs)[0])
        return lambda inputs: call(weights, inputs)
    if keras.config.backend() == "tensorflow":
        return compiled(lambda inputs: model(inputs))
    import torch

    def call(inputs):
        with torch.inference_mode():
            return model(inputs)

    return call


def compiled_gradients(function: Callable) -> Callable:
    """The gradients of the mean square of the function's result by each of its arrays, compiled."""
    import keras

    def loss(*arrays):
        return keras.ops.mean(keras.ops.square(function(*arrays)))

    if keras.config.backend() == "jax":
        import jax

        return compiled(lambda *arrays: jax.grad(loss, argnums=range(len(arrays)))(*arrays))
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        def tape_gradients(*arrays):
            with tf.GradientTape() as tape:
                tape.watch(arrays)
                value = loss(*arrays)
            return tape.gradient(value, arrays)

        return compiled(tape_gradients)

    def torch_gradients(*arrays):
        leaves = [array.detach().requires_grad_() for array in arrays]
        loss(*leaves).backward()
        return [leaf.grad for leaf in leaves]

    return torch_gradients


def matmul_flops_per_second(size: int = 3072) -> float:
    """The most that this backend reaches with one large float32 product."""
    import numpy as np
    from keras import ops

    a = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(size, size)).astype("float32"))
    best = float("inf")
    for _ in range(6):
        start = time.perf_counter()
        float(ops.max(ops.matmul(a, a)))
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def resident_megabytes(*, peak: bool) -> float:
    """Resident memory of this process on Linux: now, or at its highest so far."""
    if peak:
        # Not `ru_maxrss`: a child's begins with the resident memory of the process that started it.
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 2**10
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


# What glibc frees it then returns, instead of keeping blocks of up to 32 MB: a peak counts what is in use.
RETURN_FREED_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "131072"}


def hide_tensorflow() -> None:
    """Makes this process one without TensorFlow, of which KerasHub loads half a gigabyte where it is."""
    sys.modules.update(dict.fromkeys(("tensorflow", "tensorflow_text")))


def run_child(script: str, *arguments: str, **environment: str) -> dict:
    """Run a script of this folder in a new process and read the JSON on the last line it prints."""
    command = [sys.executable, str(Path(__file__).with_name(script)), *arguments]
    environment = {**os.environ, **environment}
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
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
