"""Timing, memory and the table: what every benchmark here shares.

Two ways of doing the same work are timed in turns in one process, so that a busy machine slows both.
Each figure is the median over the turns.
"""

import argparse
import dataclasses
import importlib.util
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
        value: the ratio or share that counts; `None` where it was not measured, and `detail` says why.
        target: the least it should be; with `at_most`, the most; `None` where there is no promise.
        at_most: bool, whether smaller is better.
        detail: the numbers behind the ratio, with units.
    """

    what: str
    value: float | None
    target: float | None = None
    at_most: bool = False
    detail: str = ""

    @property
    def verdict(self) -> str:
        if self.target is None or self.value is None:
            return ""
        good = self.value <= self.target if self.at_most else self.value >= self.target
        return "yes" if good else "NO"

    def __str__(self) -> str:
        sign = "<=" if self.at_most else ">="
        target = f"{sign} {self.target:g}" if self.target is not None else ""
        value = "-" if self.value is None else f"{self.value:.3f}"
        return f"{self.what:<62}{value:>9}  {target:<8}{self.verdict:<5}{self.detail}"


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

        return waiting(tf.function(function, jit_compile=True), tf.test.experimental.sync_devices)
    return waiting(function, wait_for_torch)


def waiting(function: Callable, wait: Callable[[], None]) -> Callable:
    """The function, which then waits: an accelerator answers before it has computed."""

    def call(*arrays):
        result = function(*arrays)
        wait()
        return result

    return call


def wait_for_torch() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def torch_device() -> str:
    """Where a peer on torch computes: on the accelerator that ours would find, too."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def torch_megabytes(*, peak: bool) -> float:
    """Memory that torch takes here, now or at its highest: of its accelerator, or of the machine."""
    import torch

    if not torch.cuda.is_available():
        return resident_megabytes(peak=peak)
    return (torch.cuda.max_memory_allocated() if peak else torch.cuda.memory_allocated()) / 2**20


def compiled_call(model) -> Callable:
    """A model's call, compiled; on torch, without gradients."""
    import keras

    if keras.config.backend() == "jax":
        import jax_steps

        forward, weights = jax_steps.forward(model)
        call = compiled(forward)
        return lambda inputs: call(weights, inputs)
    if keras.config.backend() == "tensorflow":
        return compiled(lambda inputs: model(inputs))
    import torch

    def call(inputs):
        with torch.inference_mode():
            return model(inputs)

    return waiting(call, wait_for_torch)


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

    return waiting(torch_gradients, wait_for_torch)


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


def keep_freed_memory() -> None:
    """Keeps the pages of freed blocks in this process, as `zorro-keras` does on JAX.

    For every side of a comparison alike: in the Fourier image model at batch 8, pages that came and went took
    a quarter of the processor time of `transformers`, and a seventh of ours.
    """
    from zorro_keras.applications import freed_memory

    freed_memory.keep_freed_memory()


def hide_tensorflow() -> None:
    """Makes this process one without TensorFlow, of which KerasHub loads half a gigabyte where it is."""
    sys.modules.update(dict.fromkeys(("tensorflow", "tensorflow_text")))


class ChildFailed(RuntimeError):  # noqa: N818
    """A script ended with an error; the message is the last line that it wrote about it."""


def run_child(script: str, *arguments: str, **environment: str) -> dict:
    """Run a script of this folder in a new process and read the JSON on the last line it prints.

    Raises:
        ChildFailed: if the script fails, after all that it wrote to stderr was passed on.
    """
    command = [sys.executable, str(Path(__file__).with_name(script)), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    if result.returncode:
        print(result.stderr, end="", file=sys.stderr, flush=True)
        said = [line for line in result.stderr.splitlines() if line.strip()]
        by_signal = f"{script} was ended by signal {-result.returncode}"
        raise ChildFailed(by_signal if result.returncode < 0 or not said else said[-1].strip())
    return json.loads(result.stdout.splitlines()[-1])


def parser(description: str, *, policy: bool = False) -> argparse.ArgumentParser:
    """A parser with the options of every benchmark. It sets the backend: call it before Keras is imported.

    Args:
        description: what the script compares.
        policy: bool, whether its models follow Keras' dtype policy: `--policy` then sets it.
    """
    os.environ.setdefault("KERAS_BACKEND", "jax")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print the rows as one line of JSON")
    parser.add_argument("--quick", action="store_true", help="tiny shapes, which promise nothing")
    if policy:
        parser.add_argument("--policy", type=_set_policy, default="float32", help="such as mixed_bfloat16")
    return parser


def _set_policy(name: str) -> str:
    import keras

    keras.config.set_dtype_policy(name)
    return name


def words_of(arguments: argparse.Namespace) -> list[str]:
    """The words that make a child of the same script measure at the same shapes and policy."""
    return ["--quick"] * arguments.quick + ["--policy", arguments.policy]


def absent(what: str, *modules: str) -> list[Row]:
    """A row that says which of these modules are missing, or none where nothing is."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    return [not_measured(what, f"{' and '.join(missing)} not installed")] if missing else []


def not_measured(what: str, why: str) -> Row:
    return Row(what, None, detail=f"not measured: {why}")


def show(rows: Sequence[Row], arguments: argparse.Namespace) -> None:
    """Prints the rows, without their targets where shapes were tiny."""
    if arguments.quick:
        rows = [dataclasses.replace(row, target=None) for row in rows]
    if arguments.json:
        print(json.dumps({"rows": [dataclasses.asdict(row) for row in rows]}))
    else:
        print(*rows, sep="\n")
