"""Two processes on one machine train one model, each on two devices of its own."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from tests.applications.training.distribution.devices import difference, environment
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training.config import TrainingConfig
from zorro_keras.applications.training.distribution import devices, hosts
from zorro_keras.applications.training.run_folder import RunFolder

on_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="only JAX trains on several hosts")


def start(run, port=0, process=0, last_step=0):
    arguments = [str(run), *map(str, (port, process, last_step))]
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("host.py")), *arguments],
        env=environment(num_devices=2),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def free_port():
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]


@on_jax
@pytest.mark.slow
def test_two_hosts_of_which_one_is_killed_end_like_one_process_that_nobody_kills(tmp_path):
    unbroken, run = tmp_path / "unbroken", tmp_path / "run"
    alone, port = start(unbroken), free_port()
    first, second = start(run, port), start(run, port, 1, last_step=15)  # in the third epoch
    second.communicate(timeout=240)
    assert second.returncode == -signal.SIGKILL
    try:
        said, _ = first.communicate(timeout=30)
        assert first.returncode != 0
    except subprocess.TimeoutExpired:  # it may wait for the other until the coordinator gives up
        first.kill()
        said, _ = first.communicate()
    assert "Training on 4 devices" in said and "epoch 2/4" in said and "epoch 3/4" not in said
    port = free_port()
    pair = [start(run, port, process) for process in range(2)]
    for process in pair:
        said, _ = process.communicate(timeout=240)
        assert process.returncode == 0, said[-3000:]
        assert "Going on after epoch 2 of 4" in said and "epoch 4/4" in said
    said, _ = alone.communicate(timeout=240)
    assert alone.returncode == 0, said[-3000:]
    of_tensors, of_metrics = difference(run, unbroken)
    assert of_tensors < 1e-5 and of_metrics < 1e-5
    assert (run / "preset").exists()


@pytest.mark.tensorflow
def test_the_parts_of_the_hosts_are_the_batch(monkeypatch):
    import tensorflow as tf

    batches = tf.data.Dataset.range(12).batch(6).map(lambda x: ({"points": x}, -x))
    assert hosts.part_of_host(batches) is batches
    seen = []
    for index in range(3):
        monkeypatch.setattr(hosts, "this_host", lambda index=index: hosts.Host(index, 3))
        part = hosts.part_of_host(batches)
        assert len(part) == 2
        seen.append([(x["points"].tolist(), y.tolist()) for x, y in part.as_numpy_iterator()])
    assert seen[0] == [([0, 1], [0, -1]), ([6, 7], [-6, -7])]
    assert [part[1][0] for part in seen] == [[6, 7], [8, 9], [10, 11]]
    alone = hosts.part_of_host(batches.map(lambda x, _: x))  # a task without labels
    assert next(alone.as_numpy_iterator())["points"].tolist() == [4, 5]


@pytest.mark.tensorflow
def test_data_that_can_be_read_by_parts_are_and_others_are_read_whole(monkeypatch):
    import tensorflow as tf

    def whole(first):
        return tf.data.Dataset.range(first, first + 12).batch(6)

    def by_parts(first, part=None):
        return tf.data.Dataset.from_tensors([first] if part is None else [first, part.index, part.count])

    def read(dataset):
        return next(hosts.dataset_of_host(dataset, first=3).as_numpy_iterator()).tolist()

    assert (read(whole), read(by_parts)) == ([3, 4, 5, 6, 7, 8], [3])
    monkeypatch.setattr(hosts, "this_host", lambda: hosts.Host(1, 3))
    assert (read(whole), read(by_parts)) == ([5, 6], [3, 1, 3])


def test_all_hosts_but_the_first_write_a_copy_that_goes_away(tmp_path, monkeypatch):
    run = tmp_path / "run"
    (run / "checkpoints" / "step-00000003").mkdir(parents=True)
    (run / "config.json").write_text("{}")
    with hosts.folder_of_host(str(run)) as folder:
        assert folder.path == run
    monkeypatch.setattr(hosts, "this_host", lambda: hosts.Host(1, 2))
    with hosts.folder_of_host(str(run)) as folder:
        assert isinstance(folder, RunFolder) and folder.path != run
        assert folder.config_file.read_text() == "{}"
        assert [path.name for path in folder.checkpoints.iterdir()] == ["step-00000003"]
        folder.write_fault({"row": "clip"})
    assert not folder.path.exists()
    assert (run / "faults-1.jsonl").read_text() == '{"row": "clip"}\n' and not (run / "faults.jsonl").exists()
    with hosts.folder_of_host(str(tmp_path / "new")) as folder:
        assert folder.path.is_dir() and not folder.checkpoints.exists()


def test_several_hosts_train_by_data_alone(monkeypatch):
    monkeypatch.setattr(devices, "this_host", lambda: hosts.Host(0, 2))
    for way in ("none", "model"):
        with (
            pytest.raises(ConfigError, match=f"several hosts.* training.distribute='{way}'"),
            devices.spread(TrainingConfig(distribute=way), None),
        ):
            pass


def test_hosts_that_cannot_meet_say_so():
    if keras.backend.backend() != "jax":
        with pytest.raises(ConfigError, match="needs the JAX backend. Received: backend="):
            hosts.join("localhost:1", 2, 0)
        return
    with pytest.raises(ConfigError, match=r"within \[0, num_processes\). Received: process_id=2"):
        hosts.join("localhost:1", 2, 2)
    # Jax has computed in this process already, so it does not join others any more.
    keras.ops.zeros(())
    with pytest.raises(ConfigError, match="did not find each other: .* Received: coordinator=localhost:1"):
        hosts.join("localhost:1", 2, 0)
