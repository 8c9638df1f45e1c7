"""The command line: `zorro-keras COMMAND ...`. Nothing here imports Keras before the backend is set."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence

import tyro

from zorro_keras.applications.cli.data import Clips, Prepare
from zorro_keras.applications.cli.models import Convert, Evaluate, Export, Predict
from zorro_keras.applications.cli.searching import Embed, Search
from zorro_keras.applications.cli.showing import Demo, Doctor, Reproduce
from zorro_keras.applications.cli.training import Feed, Plan, Train
from zorro_keras.applications.freed_memory import keep_freed_memory
from zorro_keras.applications.kept_barriers import keep_barriers
from zorro_keras.applications.pipelines.faults import ConfigError, ZorroError
from zorro_keras.applications.training.task import TASKS

COMMANDS = (
    Doctor,
    Clips,
    Prepare,
    Plan,
    Train,
    Feed,
    Evaluate,
    Predict,
    Embed,
    Search,
    Export,
    Convert,
    Demo,
    Reproduce,
)
# Called again with the same words they go on from what is finished.
RESUMABLE = (Clips, Prepare, Train, Demo, Reproduce)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: optional words after `zorro-keras`. `sys.argv` by default.

    Returns:
        0, or the exit code of the fault: 2 usage or configuration, 3 data, 4 training; 5 where SIGTERM or
        SIGINT stopped a training that can go on. A mistake in the words themselves ends the process with 2.
    """
    commands = {kind.__name__.lower(): kind for kind in COMMANDS}
    command = tyro.extras.subcommand_cli_from_dict(
        commands,
        prog="zorro-keras",
        description=f"Train, evaluate and serve multimodal transformers: {', '.join(TASKS)}.",
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes,),
    )
    # TensorFlow tells of processors it could use and GPUs that are not there; its errors still raise.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        set_backend(getattr(command, "backend", None))
        if os.environ.get("KERAS_BACKEND") == "jax":
            keep_freed_memory()
            keep_barriers()
        return command.run()
    except ZorroError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        goes_on = " The same command goes on from what is finished." if isinstance(command, RESUMABLE) else ""
        print(f"Stopped.{goes_on}", file=sys.stderr)
        return 130


def set_backend(backend: str | None) -> None:
    """Chooses the Keras backend: `backend`, else `KERAS_BACKEND`, else JAX where it is installed.

    Without any of these Keras chooses.

    Raises:
        ConfigError: if Keras was imported before with another backend.
    """
    if backend is None:
        settled = "KERAS_BACKEND" in os.environ or "keras" in sys.modules
        if settled or importlib.util.find_spec("jax") is None:
            return
        backend = "jax"
    if "keras" in sys.modules:
        current = sys.modules["keras"].backend.backend()
        if current != backend:
            raise ConfigError(
                f"Keras already runs on {current} in this process. Received: backend={backend}",
                stage="command", reason="bad_value", advice="Set KERAS_BACKEND before Keras is imported.",
            )  # fmt: skip
    os.environ["KERAS_BACKEND"] = backend
