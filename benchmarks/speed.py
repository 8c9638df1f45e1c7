"""Operations per second: of one large product, the most that a machine does, and of what is measured."""

import functools
import time
from collections.abc import Callable

import measure


def devices() -> list[str]:
    """Names of the devices that the backend computes on."""
    import keras

    from zorro_keras.applications.doctor import DEVICES

    return DEVICES[keras.config.backend()]()


def is_accelerated() -> bool:
    return any("cpu" not in device.lower() for device in devices())


def compute_dtype() -> str:
    """The dtype that products are computed in under the dtype policy."""
    import keras

    return keras.config.dtype_policy().compute_dtype


@functools.cache
def matmul_flops_per_second(dtype: str = "float32", size: int | None = None) -> float:
    """The most that this backend reaches with large products of `size` rows and columns in that dtype.

    An accelerator is given larger ones, several before their result is asked for: fetching it takes time.
    """
    import numpy as np
    from keras import ops

    size, repeats = (8192, 16) if is_accelerated() and size is None else (size or 3072, 1)
    scaled = np.random.default_rng(0).normal(size=(size, size)) / size**0.5
    a = ops.convert_to_tensor(scaled.astype("float32"))
    a, best = ops.cast(a, dtype), float("inf")
    for _ in range(6):
        start, product = time.perf_counter(), a
        for _ in range(repeats):
            product = ops.matmul(product, a)
        float(ops.max(product))
        best = min(best, time.perf_counter() - start)
    return 2 * repeats * size**3 / best


def flops(function: Callable, *arrays) -> int:
    """Multiplications and additions of a call, on JAX: those of its products, of loops as often as they run.

    XLA's own count takes a loop for one turn, and for nothing what it hands to another library.
    """
    import jax

    from zorro_keras.applications.plan.flops import total_flops

    return total_flops(jax.make_jaxpr(function)(*arrays))


def share_row(what: str, flops: float, seconds: float, target: float | None = None) -> measure.Row:
    """The share of the largest product's speed that so many operations in so many seconds reach."""
    dtype = compute_dtype()
    reached, peak = flops / seconds, matmul_flops_per_second(dtype)
    detail = f"{reached / 1e9:.3g} of {peak / 1e9:.3g} GFLOP/s"
    return measure.Row(f"{what}: share of {dtype} matmul peak", reached / peak, target, detail=detail)


def megabytes(*, peak: bool) -> float:
    """Memory that this process takes, now or at its highest: of its first accelerator, or of the machine."""
    if not is_accelerated():
        return measure.resident_megabytes(peak=peak)
    import keras

    if keras.config.backend() == "jax":
        import jax

        return jax.devices()[0].memory_stats()["peak_bytes_in_use" if peak else "bytes_in_use"] / 2**20
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        return tf.config.experimental.get_memory_info("GPU:0")["peak" if peak else "current"] / 2**20
    return measure.torch_megabytes(peak=peak)
