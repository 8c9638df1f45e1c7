"""The barriers of `remat` on a processor: when they are kept, and what that saves."""

import os
import subprocess
import sys

import pytest

from zorro_keras.applications import kept_barriers
from zorro_keras.applications.kept_barriers import keep_barriers

OPTION = "--xla_disable_hlo_passes=cse_barrier_expander"
KEPT = """
import sys
if sys.argv[1] == "kept":
    from zorro_keras.applications.kept_barriers import keep_barriers
    assert keep_barriers()
import jax, jax.numpy as jnp

def loss(weight, x):
    for _ in range(8):
        x = jax.checkpoint(lambda x: jnp.tanh(jnp.tanh(x @ weight) @ weight))(x)
    return x.sum()

step = jax.jit(jax.grad(loss)).lower(jnp.ones((64, 64)), jnp.ones((4096, 64))).compile()
print(step.memory_analysis().temp_size_in_bytes)
"""


def test_they_are_kept_where_there_are_only_processors():
    variables = {"JAX_PLATFORMS": "cpu"}
    assert keep_barriers(variables) and variables["XLA_FLAGS"] == OPTION
    variables = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_dump_to=there"}
    assert keep_barriers(variables) and variables["XLA_FLAGS"] == f"--xla_dump_to=there {OPTION}"


@pytest.mark.parametrize(
    "variables",
    [
        {"JAX_PLATFORMS": "cuda,cpu"},
        {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_disable_hlo_passes=another"},
    ],
)
def test_other_devices_and_settings_are_left_alone(variables):
    before = dict(variables)
    assert not keep_barriers(variables) and variables == before


def test_a_plugin_may_bring_another_device(monkeypatch):
    assert keep_barriers({}) or kept_barriers.entry_points(group="jax_plugins")
    monkeypatch.setattr(kept_barriers, "entry_points", lambda group: [group])
    assert not keep_barriers({})


def test_with_them_a_processor_frees_what_it_computes_again():
    def kept(kind):
        variables = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
        done = subprocess.run(
            [sys.executable, "-c", KEPT, kind],
            env={**variables, "JAX_PLATFORMS": "cpu"}, stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        return int(done.stdout)

    assert kept("kept") < 0.8 * kept("merged")
