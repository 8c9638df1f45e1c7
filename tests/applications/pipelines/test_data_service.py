"""Batches made by other processes: the same, in the same order, whatever comes of a worker."""

import socket
import subprocess
import sys
from functools import partial
from itertools import islice

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from tests.applications.audio_visual_classification import test_data as clips  # noqa: E402
from zorro_keras.applications.audio_visual_classification.data import training_dataset  # noqa: E402
from zorro_keras.applications.pipelines import data_service  # noqa: E402
from zorro_keras.applications.pipelines.batch_rows import BatchPart  # noqa: E402
from zorro_keras.applications.pipelines.data_service import (  # noqa: E402
    check_servable,
    served_batches,
)
from zorro_keras.applications.pipelines.data_worker import start_worker  # noqa: E402
from zorro_keras.applications.pipelines.faults import (  # noqa: E402
    ConfigError,
    TrainingError,
    ZorroError,
)
from zorro_keras.applications.pipelines.host_errors import FaultSlot, host_errors  # noqa: E402

COMMAND = [sys.executable, "-m", "zorro_keras.applications.cli", "feed", "--host", "localhost"]


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return clips.write_shards(tmp_path_factory.mktemp("shards"))


@pytest.fixture
def worker():
    """Starts workers, each a process of its own, and ends them. Returns the process and the address."""
    started = []

    def start(*arguments):
        process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process, process.stdout.readline().removeprefix("Data service: ").strip()

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def build_from(data):
    config = clips._config()  # with mixup, modality dropout and SpecAugment
    return lambda steps, **options: training_dataset(data, config, clips.preprocess, steps=steps, **options)


@pytest.mark.long
def test_a_worker_that_is_killed_changes_no_batch_and_a_restart_goes_on(shards, worker, monkeypatch):
    count, read_here = 40, []
    build = build_from(shards)
    expected = clips.digests(training_dataset(shards, clips._config(), clips.preprocess), count)
    original = data_service._read_here

    def watched(build, step):
        read_here.append(step)
        return original(build, step)

    monkeypatch.setattr(data_service, "_read_here", watched)
    _, address = worker("--port", "0")
    second, _ = worker("--join", address)
    found = []
    for batch in served_batches(build, 0, address, FaultSlot(), print).take(count):
        found.append(clips.digests(tf.data.Dataset.from_tensors(batch), 1)[0])
        if len(found) == 12:
            second.kill()
    assert found == expected
    assert len(read_here) < count / 2  # what was lost, and no more than a few beside it
    again = served_batches(partial(build, part=BatchPart(1, 2)), 37, address, FaultSlot(), print)
    whole = training_dataset(shards, clips._config(), clips.preprocess, start_step=37)
    for (x, y), (whole_x, whole_y) in islice(zip(again, whole, strict=False), 3):
        np.testing.assert_array_equal(y, whole_y[2:])
        np.testing.assert_array_equal(x["audio"], whole_x["audio"][2:])


@pytest.mark.slow
def test_a_damaged_shard_is_the_same_error_from_afar(tmp_path):
    data = clips.write_shards(tmp_path)
    (path,) = tmp_path.glob("train-*")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    address, _servers = start_worker(port=0, join=None, host="localhost", worker_port=0)
    with pytest.raises(ZorroError, match="corrupted record") as caught, host_errors(data.faults):
        clips.digests(served_batches(build_from(data), 0, address, data.faults, print), 4)
    assert caught.value.reason == "checksum"


class Coming:
    """Stands in for a service: gives these steps, as they come."""

    def __init__(self, *steps):
        self.steps = iter(steps)

    def next(self):
        step = next(self.steps)
        return step, f"served {step}"


def in_order(steps, count, say=print):
    def build(missing):
        return missing.map(lambda step: (step, tf.strings.format("read {}", step)))

    found = islice(data_service._in_order(Coming(*steps), build, 3, say), count)
    return [batch if isinstance(batch, str) else batch.numpy().decode() for batch in found]


def test_batches_come_in_the_order_of_their_steps():
    assert in_order([5, 4, 3, 6], 4) == ["served 3", "served 4", "served 5", "served 6"]


def test_what_does_not_come_is_read_here_and_dropped_if_it_comes_late(monkeypatch):
    monkeypatch.setattr(data_service, "FEW_EARLY", 3)
    said = []
    found = in_order([4, 6, 7, 3, 5, 8, 9], 7, said.append)
    assert found == [f"{'read' if step == 3 else 'served'} {step}" for step in range(3, 10)]
    assert said == ["Note: batch 3 has not come from the data service: it is read here."]


def test_a_batch_that_was_late_makes_the_next_ones_be_waited_for(monkeypatch):
    """Of three workers one is slow: once that is known, nothing of it is read twice."""
    monkeypatch.setattr(data_service, "FEW_EARLY", 2)
    found = in_order([4, 5, 3, 6, 8, 9, 7, 10, 12, 13, 11], 9)
    assert [batch for batch in found if batch.startswith("read")] == ["read 3"]
    assert [int(batch.split()[1]) for batch in found] == list(range(3, 12))


def test_a_service_that_is_gone_or_silent_stops_the_run(monkeypatch):
    monkeypatch.setattr(data_service, "_ALIVE_SECONDS", 0.1)
    monkeypatch.setattr(data_service, "SILENT_SECONDS", 0.3)
    address, _servers = start_worker(port=0, join=None, host="localhost", worker_port=0)

    def build(steps):
        return steps.take(0).map(lambda step: (step, step))

    for is_there, message in ((True, "has given nothing for 0.3 s"), (False, "is gone")):
        faults = FaultSlot()
        batches = served_batches(build, 0, address, faults, print)
        with monkeypatch.context() as patched, pytest.raises(TrainingError, match=message):
            patched.setattr(data_service, "answers", lambda _, there=is_there: there)
            with host_errors(faults):
                next(iter(batches))


@pytest.mark.parametrize("address", ["localhost", "localhost:1", "grpc://localhost:1"])
def test_an_address_where_nobody_answers_is_refused(address):
    with pytest.raises(ConfigError, match=f"must be the address of one that runs. Received: .*={address}"):
        served_batches(build_from(None), 0, address, FaultSlot(), print)


def test_data_that_python_reads_are_refused(shards):
    check_servable(shards)
    for data in (object(), clips.ClipData(object(), {})):
        with pytest.raises(ConfigError, match="`data_service` needs shards of clips"):
            check_servable(data)


def test_a_worker_that_finds_no_service_says_so():
    with pytest.raises(ConfigError, match="`--join` must be the address of a service that runs. Received: "):
        start_worker(port=None, join="localhost:1", host="localhost", worker_port=0)
    with pytest.raises(ConfigError, match="`--port` must be left out where a service is joined"):
        start_worker(port=5050, join="localhost:1", host="localhost", worker_port=0)
    with socket.create_server(("localhost", 0)) as taken, pytest.raises(ConfigError, match="could not begin"):
        start_worker(port=taken.getsockname()[1], join=None, host="localhost", worker_port=0)
