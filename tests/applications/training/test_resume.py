"""Real processes, killed with SIGKILL or asked to stop: each ends as if nobody had interrupted it."""

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
BACKEND = os.environ["KERAS_BACKEND"]


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


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    run = tmp_path_factory.mktemp(BACKEND) / "unbroken"
    finish(run, *SETTINGS)
    return final_state(run)


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_like_one_never_killed(unbroken, tmp_path):
    # In the first epoch; while the second checkpoint is written; after it is in place, before the log row.
    for point in ("batch:3", "_write_state:2", "_prune:1"):
        code, _, errors = train(tmp_path, *SETTINGS, "--signal-at", f"SIGKILL:{point}")
        assert code == -signal.SIGKILL, errors[-3000:]
    summary = finish(tmp_path, *SETTINGS)
    assert summary["resumed_from_epoch"] == 2
    assert final_state(tmp_path) == unbroken


@pytest.mark.slow
def test_a_run_killed_at_a_random_moment_ends_like_one_never_killed(unbroken, tmp_path):
    process = command(tmp_path, *SETTINGS)
    deadline = time.monotonic() + 200
    while not (tmp_path / "checkpoints").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(random.random())
    process.kill()
    process.communicate()
    finish(tmp_path, *SETTINGS)
    assert final_state(tmp_path) == unbroken


@pytest.mark.slow
def test_a_run_asked_to_stop_is_saved_after_the_step_and_ends_like_one_never_asked(unbroken, tmp_path):
    # Within the first epoch; within the second, after the rest of the first; while the third is validated.
    for name, point, step in (
        ("SIGTERM", "batch:2", 2),
        ("SIGINT", "batch:6", 8),
        ("SIGTERM", "epoch:2", 18),
    ):
        code, _, errors = train(tmp_path, *SETTINGS, "--signal-at", f"{name}:{point}")
        assert code == 5 and "Traceback" not in errors, errors[-3000:]
        assert f"{name} came: the run stopped after step {step}" in errors
        assert max((tmp_path / "checkpoints").glob("step-*")).name == f"step-{step:08d}"
        assert not (tmp_path / "faults.jsonl").exists()
    summary = finish(tmp_path, *SETTINGS)
    assert summary["resumed_from_epoch"] == 3
    assert final_state(tmp_path) == unbroken


@pytest.mark.slow
def test_a_nan_stops_the_run_with_exit_code_4_and_names_the_step(tmp_path):
    code, _, errors = train(tmp_path, "--set", "data.bad_step=9")
    assert code == 4, errors[-3000:]
    assert "not finite at step 10" in errors and "Traceback" not in errors
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-00000006"]
    faults = [json.loads(line) for line in (tmp_path / "faults.jsonl").read_text().splitlines()]
    assert [fault["reason"] for fault in faults] == ["non_finite_loss"] and not (tmp_path / "preset").exists()
