"""Two processes on one machine train one model."""

import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import keras
import pytest

from tests.applications.training.distribution.devices import difference, environment
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training.config import TrainingConfig
from zorro_keras.applications.training.distribution import devices, hosts
from zorro_keras.applications.training.run_folder import RunFolder

BACKEND = keras.backend.backend()
several_hosts = pytest.mark.skipif(BACKEND == "torch", reason="torch trains on one host")
# Each process has two devices on JAX; TensorFlow's strategy for several hosts takes one CPU of each.
NUM_HOSTS, NUM_DEVICES = 2, {"jax": 4, "tensorflow": 2}.get(BACKEND)


def start(run, coordinator="", process=0, last_step=0, number=signal.SIGKILL):
    arguments = [str(run), coordinator, *map(str, (process, last_step, int(number)))]
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("host.py")), *arguments],
        env=environment(num_devices=2, backend=BACKEND),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def coordinator():
    """Returns what `--coordinator` takes: the address of the first process, or on TensorFlow of all."""
    with ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(NUM_HOSTS)]
        for each in found:
            each.bind(("localhost", 0))
        addresses = [f"localhost:{each.getsockname()[1]}" for each in found]
    return ",".join(addresses) if BACKEND == "tensorflow" else addresses[0]


@several_hosts
@pytest.mark.long
def test_two_hosts_of_which_one_is_stopped_or_killed_end_like_one_process_that_nobody_stops(tmp_path):
    unbroken, run = tmp_path / "unbroken", tmp_path / "run"
    alone, meeting = start(unbroken), coordinator()
    for process in [start(run, meeting), start(run, meeting, 1, last_step=8, number=signal.SIGTERM)]:
        said, _ = process.communicate(timeout=240)
        assert process.returncode != 0 and "SIGTERM came: the run stopped after step 8" in said, said[-3000:]
    meeting = coordinator()
    first, second = start(run, meeting), start(run, meeting, 1, last_step=7)  # in the third epoch
    second.communicate(timeout=240)
    assert second.returncode == -signal.SIGKILL
    try:
        said, _ = first.communicate(timeout=30)
        assert first.returncode != 0
    except subprocess.TimeoutExpired:  # it may wait for the other until the coordinator gives up
        first.kill()
        said, _ = first.communicate()
    assert f"Training on {NUM_DEVICES} devices" in said and "epoch 2/4" in said and "epoch 3/4" not in said
    meeting = coordinator()
    pair = [start(run, meeting, process) for process in range(NUM_HOSTS)]
    for process in pair:
        said, _ = process.communicate(timeout=240)
        assert process.returncode == 0, said[-3000:]
        assert "Going on after epoch 2 of 4" in said and "epoch 4/4" in said
    said, _ = alone.communicate(timeout=240)
    assert alone.returncode == 0, said[-3000:]
    of_tensors, of_metrics = difference(run, unbroken)
    assert of_tensors < 1e-5 and of_metrics < 1e-5
    assert (run / "preset").exists()
    meeting = coordinator()
    apart = [start(folder, meeting, process) for process, folder in enumerate((run, tmp_path / "another"))]
    for process in apart:
        said, _ = process.communicate(timeout=240)
        assert process.returncode != 0
        assert "All hosts must see one folder of the run" in said and "checkpoints after [24, 0]" in said


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
    (run / "config.json").write_text('{"task": "toy"}')
    with hosts.folder_of_host(str(run)) as folder:
        assert folder.path == run
    monkeypatch.setattr(hosts, "this_host", lambda: hosts.Host(1, 2))
    with hosts.folder_of_host(str(run)) as folder:
        assert isinstance(folder, RunFolder) and folder.path != run
        assert folder.config_file.read_text() == '{"task": "toy"}'
        assert [path.name for path in folder.checkpoints.iterdir()] == ["step-00000003"]
        folder.write_fault({"row": "clip"})
    assert not folder.path.exists()
    assert (run / "faults-1.jsonl").read_text() == '{"row": "clip"}\n' and not (run / "faults.jsonl").exists()
    with hosts.folder_of_host(str(tmp_path / "new")) as folder:
        assert folder.path.is_dir() and not folder.checkpoints.exists()
        with folder.locked():
            pass
    (tmp_path / "preset").mkdir()
    with pytest.raises(ConfigError, match="must be new, or hold a run"), hosts.folder_of_host(str(tmp_path)):
        pass


def test_several_hosts_train_by_data_alone(monkeypatch):
    monkeypatch.setattr(devices, "this_host", lambda: hosts.Host(0, 2))
    for way in ("none", "model"):
        with (
            pytest.raises(ConfigError, match=f"several hosts.* training.distribute='{way}'"),
            devices.spread(TrainingConfig(distribute=way), None),
        ):
            pass


@pytest.mark.parametrize(
    ("said", "announces"),
    [
        ("", False),
        ("{}", False),
        ("no json", False),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}', False),
        ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}', True),
        ('{"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "chief", "index": 0}}', True),
        ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "evaluator", "index": 0}}', False),
    ],
)
def test_a_configuration_of_one_machine_announces_nobody(said, announces, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    monkeypatch.setenv("TF_CONFIG", said)
    assert hosts.announced() is announces


def test_hosts_that_cannot_meet_say_so():
    if BACKEND == "torch":
        with pytest.raises(ConfigError, match="needs the JAX or the TensorFlow backend. Received: backend="):
            hosts.join("localhost:1", 2, 0)
        return
    with pytest.raises(ConfigError, match=r"within \[0, num_processes\). Received: process_id=2"):
        hosts.join("localhost:1", 2, 2)
    if BACKEND == "tensorflow":
        return
    # Jax has computed in this process already, so it does not join others any more.
    keras.ops.zeros(())
    with pytest.raises(ConfigError, match="did not find each other: .* Received: coordinator=localhost:1"):
        hosts.join("localhost:1", 2, 0)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="of tf.distribute")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("a:1", 2, 0), "`host:port` of every process, separated by commas. Received: coordinator=a:1, num_"),
        (("a:1,b:1", None, None), "place of an address in `--coordinator`. Received: process_id=None"),
        (("a:1,b:1", None, 2), "place of an address in `--coordinator`. Received: process_id=2"),
        (("a:1,b:1", None, -1), "place of an address in `--coordinator`. Received: process_id=-1"),
        (("runtime", 2, 0), "must be left to TF_CONFIG. Received: process_id=0, num_processes=2"),
        (("runtime", None, None), "did not find each other: TF_CONFIG must be set .*coordinator=runtime"),
    ],
)
def test_workers_of_tensorflow_that_cannot_meet_say_so(given, message, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ConfigError, match=message):
        hosts.join(*given)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="of tf.distribute")
def test_a_chief_is_the_first_of_the_workers(monkeypatch):
    import tensorflow as tf

    from zorro_keras.applications.training.distribution import tensorflow_strategy

    cluster = tf.train.ClusterSpec({"chief": ["a:1"], "worker": ["b:1", "c:1"]})
    for kind, place, index in (("chief", 0, 0), ("worker", 1, 2)):
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            cluster, task_type=kind, task_id=place
        )
        joined = [SimpleNamespace(cluster_resolver=resolver)]
        monkeypatch.setattr(tensorflow_strategy, "_joined", joined)
        assert hosts.this_host() == hosts.Host(index, 3)
