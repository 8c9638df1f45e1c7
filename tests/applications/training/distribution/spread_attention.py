"""A script: attention by the kernel for TPUs, interpreted, on one device and spread over all.

Run with `--xla_force_host_platform_device_count=8` in XLA_FLAGS. Prints one line of JSON.
"""

import functools
import json

import jax
import keras
import numpy as np
from jax.experimental.pallas.ops.tpu import splash_attention
from jax.sharding import NamedSharding, PartitionSpec

from zorro_keras.applications.training.distribution.layouts import SplitKernels
from zorro_keras.layers import attention

DEVICES = keras.distribution.list_devices()
BY_DATA = keras.distribution.DataParallel(devices=DEVICES, auto_shard_dataset=False)
WAYS = {  # the distribution and the number of examples
    "data": (BY_DATA, 8),
    "model": (SplitKernels(DEVICES, model_devices=2), 4),
    "uneven": (BY_DATA, 3),
}
COMPILED = splash_attention.make_splash_mha
INTERPRETED = functools.partial(COMPILED, interpret=True)
attention.has_fused_attention = attention.runs_on_tpu = lambda: True


def squares(query, key, mask):
    return keras.ops.sum(attention.attend(query, key, key, mask) ** 2)


def gradient():
    return jax.jit(jax.grad(squares, (0, 1)))  # made afresh: JAX keeps what it has traced


def spread(distribution, batch_size):
    """What a way gives, as JSON."""
    random = np.random.default_rng(0)
    query, key = (random.normal(size=(batch_size, 520, 2, 4)).astype("float32") for _ in range(2))
    mask = random.random((batch_size, 1, 520)) < 0.4
    expected = gradient()(query, key, mask)
    mesh, axis = distribution.device_mesh.backend_mesh, "batch" if batch_size % 4 == 0 else None
    inputs = jax.device_put((query, key, mask), NamedSharding(mesh, PartitionSpec(axis)))
    with distribution.scope():
        found = gradient()(*inputs)
        splash_attention.make_splash_mha = COMPILED
        program = gradient().trace(*inputs).lower(lowering_platforms=("tpu",)).as_text()
        splash_attention.make_splash_mha = INTERPRETED
    return {
        "kernel": "splash_mha_fwd" in program,
        "difference": max(
            float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(found, expected, strict=True)
        ),
    }


splash_attention.make_splash_mha = INTERPRETED
print(json.dumps({way: spread(*given) for way, given in WAYS.items()}))
