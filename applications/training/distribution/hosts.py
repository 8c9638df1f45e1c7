"""Several machines on one run: each starts the same command, and they find each other."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training.run_folder import RunFolder

RUNTIME = "runtime"
# Where the environment says with whom a process trains.
ADDRESSES = {"jax": "KERAS_DISTRIBUTION_JOB_ADDRESSES", "tensorflow": "TF_CONFIG"}


@dataclasses.dataclass(frozen=True)
class Host:
    """This process among those that train together: `index` of `count`."""

    index: int
    count: int


def announced() -> bool:
    """Whether the environment says that this process trains with others, so that `--coordinator` need not.

    Platforms set TF_CONFIG for one machine, too, and for those that only evaluate.
    """
    said = os.environ.get(ADDRESSES.get(keras.backend.backend(), ""), "")
    if keras.backend.backend() != "tensorflow" or not said:
        return bool(said)
    try:
        found = json.loads(said)
        jobs, role = found.get("cluster", {}), found.get("task", {}).get("type")
        return role in ("chief", "worker") and sum(len(jobs.get(job, ())) for job in ("chief", "worker")) > 1
    except (AttributeError, TypeError, ValueError):
        return False


def join(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    """Waits for the other processes of a run. To be called before the backend is asked for anything.

    Args:
        coordinator: on JAX, `host:port` of process 0, or "runtime" where `KERAS_DISTRIBUTION_JOB_ADDRESSES`
            in the environment, or the runtime of a TPU or a cluster, knows all three. On TensorFlow,
            `host:port` of every process, separated by commas, in their order; or "runtime", where `TF_CONFIG`
            in the environment says all of it.
        num_processes: int. Processes in all. On JAX None takes `KERAS_DISTRIBUTION_NUM_PROCESSES`; on
            TensorFlow it is not needed.
        process_id: int, from 0. On JAX None takes `KERAS_DISTRIBUTION_PROCESS_ID`.

    Raises:
        ConfigError: if the backend is torch, the numbers do not fit, or the others are not found.
    """
    find = {"jax": _find_by_jax, "tensorflow": _find_by_tensorflow}.get(keras.backend.backend())
    if find is None:
        received = f"backend={keras.backend.backend()}"
        raise _refused("`--coordinator` needs the JAX or the TensorFlow backend", received)
    if None not in (num_processes, process_id) and not 0 <= process_id < num_processes:
        given = f"process_id={process_id}, num_processes={num_processes}"
        raise _refused("`--process-id` must be within [0, num_processes)", given)
    try:
        find(None if coordinator == RUNTIME else coordinator, num_processes, process_id)
    except (RuntimeError, ValueError) as error:
        raise _refused(f"The hosts did not find each other: {error}", f"coordinator={coordinator}") from error


def _find_by_jax(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    if "," in (coordinator or ""):
        raise _refused(
            "On JAX `--coordinator` must be the address of process 0 alone", f"coordinator={coordinator}"
        )
    keras.utils.set_random_seed(0)  # else Keras would let all hosts agree on one
    keras.distribution.initialize(coordinator, num_processes, process_id)


def _find_by_tensorflow(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    from zorro_keras.applications.training.distribution.tensorflow_strategy import join_workers

    addresses = None if coordinator is None else coordinator.split(",")
    if addresses is None:
        if (num_processes, process_id) != (None, None):
            given = f"process_id={process_id}, num_processes={num_processes}"
            raise _refused("`--process-id` and `--num-processes` must be left to TF_CONFIG", given)
    elif len(addresses) != (num_processes or len(addresses)):
        given = f"coordinator={coordinator}, num_processes={num_processes}"
        raise _refused("TensorFlow needs `host:port` of every process, separated by commas", given)
    elif process_id is None or not 0 <= process_id < len(addresses):
        given = f"process_id={process_id}, coordinator={coordinator}"
        raise _refused("`--process-id` must be the place of an address in `--coordinator`", given)
    join_workers(addresses, process_id)


def this_host() -> Host:
    """This process among those that `join` brought together; 0 of 1 without it."""
    if keras.backend.backend() == "tensorflow":
        from zorro_keras.applications.training.distribution.tensorflow_strategy import worker

        return Host(*worker())
    if keras.backend.backend() != "jax":
        return Host(0, 1)
    import jax

    return Host(jax.process_index(), jax.process_count())


def check_same_start(first_step: int) -> None:
    """Lets all hosts go on together: each has what it saw of the run's folder.

    Raises:
        ConfigError: on every host, if they would begin after different steps.
    """
    steps = of_all_hosts(first_step)
    if len(set(steps)) > 1:
        given = f"checkpoints after {steps}"
        raise _refused("All hosts must see one folder of the run, with the same checkpoints", given)


def of_all_hosts(number: int) -> list[int]:
    """What each host says, in their order, on every one of them. To be called by all; they wait for it."""
    if this_host().count == 1:
        return [number]
    if keras.backend.backend() == "tensorflow":
        from zorro_keras.applications.training.distribution.tensorflow_strategy import of_all_workers

        return of_all_workers(number)
    from jax.experimental import multihost_utils

    return [int(each) for each in multihost_utils.process_allgather(np.asarray(number, "int32"))]


@contextmanager
def folder_of_host(run_dir: str) -> Iterator[RunFolder]:
    """The folder that this process writes: the run's own on the first host, elsewhere one that goes away.

    Faults alone stay: those of host i in the run's `faults-i.jsonl`.

    All hosts hold the same state, so the first one's checkpoints are enough. The others begin with a copy of
    them, which is why they must see `run_dir`: no checkpoint is written before all have begun.

    Raises:
        ConfigError: on every host, if the folder holds something else than a run.
    """
    shared = RunFolder(run_dir)
    shared.check_ours()
    if this_host().index == 0:
        yield shared
        return
    with tempfile.TemporaryDirectory() as scratch:
        own = RunFolder(Path(scratch) / "run")
        own.path.mkdir()
        shared.path.mkdir(parents=True, exist_ok=True)
        # What this host could not read no other host may have seen, so it stays.
        own.faults_file.symlink_to(shared.path.resolve() / f"faults-{this_host().index}.jsonl")
        if shared.checkpoints.is_dir():
            shutil.copytree(shared.checkpoints, own.checkpoints, ignore=shutil.ignore_patterns(".*"))
        if shared.config_file.exists():
            shutil.copy(shared.config_file, own.config_file)
        yield own


def dataset_of_host(dataset: Callable[..., Any], *given: Any, **options: Any) -> Any:
    """What a function gives of the rows of each batch that this host computes.

    Args:
        dataset: function that returns batches. One that takes a `part`, a `BatchPart`, reads nothing else.
        given, options: what to call it with.
    """
    host = this_host()
    if host.count == 1 or "part" not in inspect.signature(dataset).parameters:
        return part_of_host(dataset(*given, **options))
    # Imported here, because it imports TensorFlow.
    from zorro_keras.applications.pipelines.batch_rows import BatchPart

    return dataset(*given, part=BatchPart(host.index, host.count), **options)


def part_of_host(batches: Any) -> Any:
    """The rows of each batch that this host computes; together the hosts compute the batches of one.

    Each host reads whole batches: for data that are looked at as a whole, too, and tasks whose data do not
    take a `part`.

    Args:
        batches: dataset of nested tensors with a leading axis that the number of hosts divides.
    """
    host = this_host()
    if host.count == 1:
        return batches
    import tensorflow as tf

    def rows(*batch: Any) -> Any:
        parts = tf.nest.map_structure(lambda value: tf.split(value, host.count)[host.index], batch)
        return parts if len(parts) > 1 else parts[0]

    return batches.map(rows).prefetch(tf.data.AUTOTUNE)


def _refused(what: str, received: str) -> ConfigError:
    return ConfigError(f"{what}. Received: {received}", stage="config", reason="bad_value")
