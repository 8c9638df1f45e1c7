"""A process that reads, decodes and augments for a training elsewhere: a member of a `tf.data` service."""

from __future__ import annotations

import socket
from typing import Any

import tensorflow as tf

from zorro_keras.applications.pipelines.faults import ConfigError

DEFAULT_PORT = 5050


def start_worker(*, port: int | None, join: str | None, host: str, worker_port: int) -> tuple[str, list[Any]]:
    """Starts a worker, and the dispatcher that tells workers what to do if there is none.

    Args:
        port: int. Where the dispatcher listens, if this process runs it; 0 for any that is free, None for
            5050.
        join: optional `host:port` of a dispatcher that runs. None starts one in this process.
        host: str. The name of this machine for the others.
        worker_port: int. Where this worker listens; 0 for any that is free.

    Returns:
        `host:port` of the dispatcher, and the servers: they work as long as they are referred to.

    Raises:
        ConfigError: if a port is taken, no dispatcher is found, or one shall both be started and be joined.
    """
    service, servers, address = tf.data.experimental.service, [], join
    if join is not None and port is not None:
        raise ConfigError(
            f"`--port` must be left out where a service is joined. Received: join={join}, port={port}",
            stage="command", reason="bad_value",
        )  # fmt: skip
    if join is not None and not answers(join):  # TensorFlow would try for ever
        raise ConfigError(
            f"`--join` must be the address of a service that runs. Received: join={join}",
            stage="command", reason="bad_value",
        )  # fmt: skip
    tf.config.set_visible_devices([], "GPU")  # the accelerator is for training
    try:
        if join is None:
            config = service.DispatcherConfig(port=DEFAULT_PORT if port is None else port)
            servers.append(service.DispatchServer(config))
            address = f"{host}:{servers[0].target.rpartition(':')[2]}"
        worker = service.WorkerConfig(
            dispatcher_address=address,
            worker_address=f"{host}:%port%",
            port=worker_port,
        )
        servers.append(service.WorkerServer(worker))
    except (tf.errors.OpError, RuntimeError) as error:
        raise ConfigError(
            f"The worker could not begin: {error}. "
            f"Received: port={port}, host={host}, worker_port={worker_port}",
            stage="command", reason="bad_value",
        ) from error  # fmt: skip
    return address, servers


def answers(address: str) -> bool:
    """Whether somebody listens at `host:port`."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()):
        return False
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=10.0):
            return True
    except OSError:
        return False
