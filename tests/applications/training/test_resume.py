"""Real processes, killed with SIGKILL: a run that was killed ends as if nobody had killed it."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.numpy import load_file

TOY = Path(__file__).with_name("toy_task.py")
BACKENDS = ("jax", "tensorflow", "torch")


def command(run, *arguments, backend):
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(
        [sys.executable, str(TOY), str(run), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return process


def train(run, *arguments, backend):
    process = command(run, *arguments, backend=backend)
    output, errors = process.communicate(timeout=240)
    return process.returncode, output, errors


def finish(run, *arguments, backend):
    code, output, errors = train(run, *arguments, backend=backend)
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


@pytest.fixture(scope="module", params=BACKENDS)
def unbroken(request, tmp_path_factory):
    pytest.importorskip(request.param)
    run = tmp_path_factory.mktemp(request.param) / "unbroken"
    finish(run, *SETTINGS, backend=request.param)
    return request.param, final_state(run)


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_like_one_never_killed(unbroken, tmp_path):
    backend, expected = unbroken
    # In the first epoch; while the second checkpoint is written; after it is in place, before the log row.
    for point in ("batch:3", "_write_state:2", "_prune:1"):
        code, _, errors = train(tmp_path, *SETTINGS, "--die-at", point, backend=backend)
        assert code == -signal.SIGKILL, errors[-3000:]
    summary = finish(tmp_path, *SETTINGS, backend=backend)
    assert summary["resumed_from_epoch"] == 2
    assert final_state(tmp_path) == expected


@pytest.mark.slow
def test_a_run_killed_at_a_random_moment_ends_like_one_never_killed(unbroken, tmp_path):
    backend, expected = unbroken
    process = command(tmp_path, *SETTINGS, backend=backend)
    deadline = time.monotonic() + 200
    while not (tmp_path / "checkpoints").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(random.random())
    process.kill()
    process.communicate()
    finish(tmp_path, *SETTINGS, backend=backend)
    assert final_state(tmp_path) == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "fault"),
    [("jax", "data.bad_step=9"), ("tensorflow", "data.bad_step=9"), ("torch", "data.bad_step=9")],
)
def test_a_nan_stops_the_run_with_exit_code_4_and_names_the_step(backend, fault, tmp_path):
    pytest.importorskip(backend)
    code, _, errors = train(tmp_path, "--set", fault, backend=backend)
    assert code == 4, errors[-3000:]
    assert "not finite at step 10" in errors and "Traceback" not in errors
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-00000006"]
    faults = [json.loads(line) for line in (tmp_path / "faults.jsonl").read_text().splitlines()]
    assert [fault["reason"] for fault in faults] == ["non_finite_loss"] and not (tmp_path / "preset").exists()
