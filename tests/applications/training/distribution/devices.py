"""Programs on machines of several devices: virtual ones, which a process must ask for before it starts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

ROOT = Path(__file__).parents[4]


def environment(num_devices, backend="jax"):
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={num_devices}"
    paths = {"PYTHONPATH": str(ROOT), "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    # XLA takes as many threads as cores; with fewer than devices, a sum over devices may wait for ever.
    return {**os.environ, **paths, "XLA_FLAGS": flags.strip(), "NPROC": str(num_devices)}


def run(program, *arguments, num_devices=8, backend="jax"):
    """Returns what a script of this folder prints as its last line, read as JSON."""
    ran = subprocess.run(
        [sys.executable, str(Path(__file__).with_name(program)), *arguments],
        env=environment(num_devices, backend),
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout.splitlines()[-1])


def difference(run, unbroken):
    """Returns the largest difference of two runs' tensors, beside their size, and of their metrics."""
    (name, tensors, rows), (name_too, tensors_too, rows_too) = _state(run), _state(unbroken)
    assert name == name_too and tensors.keys() == tensors_too.keys() and len(rows) == len(rows_too)
    pairs = [(tensors[key].astype(float), tensors_too[key].astype(float)) for key in tensors]
    of_tensors = max(np.abs(a - b).max() / max(np.abs(b).max(), 1e-3) for a, b in pairs)
    return float(of_tensors), max(
        abs(row[key] - row_too[key]) for row, row_too in zip(rows, rows_too, strict=True) for key in row
    )


def _state(run):
    newest = max((run / "checkpoints").glob("step-*"))
    rows = [json.loads(line)["metrics"] for line in (run / "log.jsonl").read_text().splitlines()]
    return newest.name, load_file(newest / "variables.safetensors"), rows
