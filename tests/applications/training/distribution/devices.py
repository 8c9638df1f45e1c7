"""Programs on a machine of eight devices: virtual ones, which a process must ask for before it starts."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]


def environment(num_devices, backend="jax"):
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={num_devices}"
    paths = {"PYTHONPATH": str(ROOT), "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return {**os.environ, **paths, "XLA_FLAGS": flags.strip()}


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
