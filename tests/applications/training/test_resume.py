"""Real processes, killed with SIGKILL: each ends as if nobody had interrupted it."""

import json
import random
import signal
import time

import pytest

from tests.applications.training.toy_process import SETTINGS, command, final_state, finish, train


@pytest.mark.long
def test_a_run_killed_again_and_again_ends_like_one_never_killed(unbroken, tmp_path):
    # In the first epoch; while the second checkpoint is written; after it is in place, before the log row.
    for point in ("batch:3", "_write_state:2", "_prune:1"):
        code, _, errors = train(tmp_path, *SETTINGS, "--signal-at", f"SIGKILL:{point}")
        assert code == -signal.SIGKILL, errors[-3000:]
    summary = finish(tmp_path, *SETTINGS)
    assert summary["resumed_from_epoch"] == 2
    assert final_state(tmp_path) == unbroken


@pytest.mark.long
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


@pytest.mark.long
def test_a_nan_stops_the_run_with_exit_code_4_and_names_the_step(tmp_path):
    code, _, errors = train(tmp_path, "--set", "data.bad_step=9")
    assert code == 4, errors[-3000:]
    assert "not finite at step 10" in errors and "Traceback" not in errors
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-00000006"]
    faults = [json.loads(line) for line in (tmp_path / "faults.jsonl").read_text().splitlines()]
    assert [fault["reason"] for fault in faults] == ["non_finite_loss"] and not (tmp_path / "preset").exists()
