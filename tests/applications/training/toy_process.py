"""The toy task in processes of its own, as a user runs a task: they can be killed."""

import json
import os
import subprocess
import sys
from pathlib import Path

from safetensors.numpy import load_file

TOY = Path(__file__).with_name("toy_task.py")


def command(run, *arguments):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(
        [sys.executable, str(TOY), str(run), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return process


def train(run, *arguments):
    process = command(run, *arguments)
    output, errors = process.communicate(timeout=240)
    return process.returncode, output, errors


def finish(run, *arguments):
    code, output, errors = train(run, *arguments)
    assert code == 0, errors[-3000:]
    return json.loads(output.strip().splitlines()[-1])


def final_state(run):
    """Bytes of every tensor of the last checkpoint, and the history without the clock."""
    newest = max((run / "checkpoints").glob("step-*"))
    tensors = {name: value.tobytes() for name, value in load_file(newest / "variables.safetensors").items()}
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    for row in rows:
        del row["timing"]
    stored = json.loads((newest / "state.json").read_text())["history"]
    assert [row["epoch"] for row in stored] == [row["epoch"] for row in rows] == [1, 2, 3, 4]
    return tensors, rows


SETTINGS = ("--set", "training.ema_momentum=0.9", "training.mixed_precision=true")
