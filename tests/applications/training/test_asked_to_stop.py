"""Real processes that are asked to stop save what they have: one backend is enough to see it."""

import pytest

from tests.applications.training.toy_process import SETTINGS, final_state, finish, train


@pytest.mark.long
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
