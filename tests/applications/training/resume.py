"""A run that is killed in this process: quick enough for every task, unlike one in a process of its own."""

import json
from contextlib import contextmanager

import pytest
from safetensors.numpy import load_file

from zorro_keras.applications.training import checkpoint
from zorro_keras.applications.training.fit import train


class Killed(BaseException):
    """Ends a run where it stands: nothing that handles errors catches it."""


@contextmanager
def killed_at_save(number):
    """Within it, a run dies while it writes its `number`-th checkpoint; `None` lets it live."""
    write, calls = checkpoint._write_state, []

    def killing(*args):
        calls.append(args)
        if len(calls) == number:
            raise Killed
        write(*args)

    checkpoint._write_state = killing
    try:
        yield
    finally:
        checkpoint._write_state = write


def state_of(run):
    """Bytes of every tensor of the last checkpoint, and the history without the clock."""
    newest = max((run / "checkpoints").glob("step-*"))
    tensors = {name: value.tobytes() for name, value in load_file(newest / "variables.safetensors").items()}
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    for row in rows:
        del row["timing"]
    return newest.name, tensors, rows


def assert_resumes_exactly(task, config, data, folder):
    """Asserts that a run killed while its second checkpoint is written ends like an unbroken one.

    Args:
        task: name of the task.
        config: a configuration of two epochs or more.
        data: path of the data.
        folder: where the runs may lie.
    """
    unbroken, broken = folder / "unbroken", folder / "broken"
    train(task, config, str(data), str(unbroken))
    with pytest.raises(Killed), killed_at_save(2):
        train(task, config, str(data), str(broken))
    assert len(list((broken / "checkpoints").glob("step-*"))) == 1
    summary = train(task, config, str(data), str(broken))
    assert summary["resumed_from_epoch"] == 1
    assert state_of(broken) == state_of(unbroken)
