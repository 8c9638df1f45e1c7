"""What `remat` computes again is computed again on a processor too: XLA must not merge it away."""

import importlib.util
import os
from collections.abc import MutableMapping
from importlib.metadata import entry_points

KEPT = {"xla_disable_hlo_passes": "cse_barrier_expander"}  # as XLA's options
_FLAGS = "XLA_FLAGS"


def keep_barriers(environment: MutableMapping[str, str] = os.environ) -> bool:
    """Makes JAX on a processor keep the barriers between what a step computes and what it computes again.

    XLA for processors takes them away early, finds the same computation twice, and keeps its result: `remat`
    then costs memory instead of saving it. For other devices XLA keeps them itself and relies on taking them
    away late, so nothing is changed where JAX may have another device. To be called before JAX is asked for
    anything. A setting of the same name in `XLA_FLAGS` is respected.

    Args:
        environment: variables of this process; changed in place.

    Returns:
        Whether the barriers are kept by this.
    """
    flags, ((option, value),) = environment.get(_FLAGS, ""), KEPT.items()
    if option in flags or not only_processors(environment):
        return False
    environment[_FLAGS] = f"{flags} --{option}={value}".strip()
    return True


def only_processors(environment: MutableMapping[str, str] = os.environ) -> bool:
    """Whether JAX has no other device to look for, told without waking it."""
    if platforms := environment.get("JAX_PLATFORMS"):
        return platforms == "cpu"
    plugins = any(importlib.util.find_spec(name) for name in ("jax_plugins", "libtpu"))
    return not plugins and not entry_points(group="jax_plugins")
