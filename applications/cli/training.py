"""Commands that plan a training, run it, and feed it."""

from __future__ import annotations

import dataclasses
import importlib.util
import socket
import sys
import threading
from pathlib import Path
from typing import ClassVar, Literal

from zorro_keras.applications.cli.words import Backend, Overrides, Task, print_json
from zorro_keras.applications.pipelines.faults import ConfigError

Distribute = Literal["none", "data", "model"]


@dataclasses.dataclass(frozen=True)
class Plan:
    """Says, by JAX, what a configuration takes before it is run: shapes, FLOPs, memory, a batch that fits."""

    task: Task
    config: str = "tiny"
    """Named configuration of the task."""
    overrides: Overrides = ()
    """Changes one setting, such as model.remat=true. May be given again."""
    batch_size: int | None = None
    """Examples in a step. By default those of the configuration."""
    device: str | None = None
    """Memory of a device, such as 16GB or 80GiB, for which the largest batch is looked for."""
    classes: int | None = None
    """Classes of the data. By default those of the data that the configuration is made for."""
    json: bool = False
    """Prints JSON instead of tables."""
    backend: ClassVar[Backend] = "jax"

    def run(self) -> int:
        from zorro_keras.applications.plan.sizes import bytes_of

        device_bytes = None if self.device is None else bytes_of(self.device)
        if importlib.util.find_spec("jax") is None:
            raise ConfigError(
                "A plan is made by JAX, whatever the run trains on.", stage="command", reason="missing_file",
                advice="pip install 'zorro-keras[jax]'",
            )  # fmt: skip
        from zorro_keras.applications.plan.command import plan
        from zorro_keras.applications.plan.tables import show

        planned = plan(
            self.task,
            self.config,
            self.overrides,
            batch_size=self.batch_size,
            device_bytes=device_bytes,
            num_classes=self.classes,
        )
        if self.json:
            return print_json(planned)
        show(planned)
        return 0


@dataclasses.dataclass(frozen=True)
class Train:
    """Trains a model, or goes on where the run stopped: the result is the same, bit for bit, on one CPU."""

    task: Task
    out: Path
    """Folder of the run."""
    data: Path | None = None
    """Shards or a source. By default, for a tiny configuration, small data that the task makes for itself."""
    config: str = "tiny"
    """Named configuration of the task."""
    overrides: Overrides = ()
    """Changes one setting, such as training.epochs=3. May be given again."""
    distribute: Distribute | None = None
    """Spreads the run over all devices: by data, or by model, whose weights are split. As the setting
    training.distribute."""
    coordinator: str | None = None
    """HOST:PORT of process 0, where several hosts train together and see one folder of the run; on TensorFlow
    those of all processes, separated by commas. Or runtime, where the runtime of a TPU or a cluster knows.
    By default what KERAS_DISTRIBUTION_JOB_ADDRESSES, on TensorFlow TF_CONFIG, says where it is set. Give
    --distribute data with it."""
    num_processes: int | None = None
    """Processes that train together."""
    process_id: int | None = None
    """Which of them this is, from 0."""
    data_service: str | None = None
    """HOST:PORT of `zorro-keras feed`, whose workers read, decode and augment the shards of --data."""
    backend: Backend | None = None
    """Keras backend."""
    resume: bool = True
    """Whether to go on with a run that is already in the folder."""

    def run(self) -> int:
        from zorro_keras.applications.training.config import apply_overrides
        from zorro_keras.applications.training.task import named_config

        overrides = self.overrides
        if self.distribute is not None:
            overrides = (*overrides, f"training.distribute={self.distribute}")
        config = apply_overrides(named_config(self.task, self.config), overrides)
        from zorro_keras.applications.training.distribution import hosts

        coordinator = self.coordinator or (hosts.RUNTIME if hosts.announced() else None)
        if coordinator is not None:
            if self.data is None:
                raise ConfigError(
                    "Several hosts need `--data`: only one could make the task's own. Received: no data",
                    stage="command", reason="bad_value",
                )  # fmt: skip
            hosts.join(coordinator, self.num_processes, self.process_id)
        elif (self.num_processes, self.process_id) != (None, None):
            raise ConfigError(
                "`--num-processes` and `--process-id` need `--coordinator`, or its address in the "
                "environment. Received: no coordinator",
                stage="command", reason="bad_value",
            )  # fmt: skip
        from zorro_keras.applications.training.fit import train

        data = self._default_data() if self.data is None else self.data
        options = {"resume": self.resume, "data_service": self.data_service}
        return print_json(train(self.task, config, str(data), str(self.out), **options))

    def _default_data(self) -> Path:
        """Makes the task's own data, unless another process does so or trains on them.

        Raises:
            ConfigError: if the configuration is one for real data.
        """
        if "tiny" not in self.config:
            raise ConfigError(
                f"The configuration `{self.config}` needs `--data`: what `{self.task}` makes for itself is "
                "for the tiny ones. Received: no data",
                stage="command", reason="bad_value",
                advice="Give --data, or take --config tiny.",
            )  # fmt: skip
        from zorro_keras.applications.training.run_folder import RunFolder
        from zorro_keras.applications.training.task import make_default_data

        with RunFolder(self.out).locked():
            print(f"No --data: `{self.task}` trains on small data that it makes for itself.", file=sys.stderr)
            return make_default_data(self.task, self.out)


@dataclasses.dataclass(frozen=True)
class Feed:
    """Reads, decodes and augments clips for a training on another machine, until it is stopped.

    Whoever reaches its ports can let it read files and compute: keep them within a network that you trust."""

    join: str | None = None
    """HOST:PORT of a service that runs, to work for it. By default this begins one."""
    port: int | None = None
    """Where the service that this begins listens. By default 5050."""
    host: str = dataclasses.field(default_factory=socket.gethostname)
    """Name of this machine for the others."""
    worker_port: int = 0
    """Where this worker listens. By default any port that is free."""

    def run(self) -> int:
        from zorro_keras.applications.pipelines.data_worker import start_worker

        address, _servers = start_worker(**dataclasses.asdict(self))
        print(f"Data service: {address}", flush=True)
        threading.Event().wait()  # Ctrl-C and SIGTERM end it
        return 0
