"""Sets the process up for training: who owns the accelerator, precision, and the compilation cache."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import keras

CACHE_VARIABLE = "ZORRO_KERAS_CACHE"


def prepare_backend() -> None:
    """Lets the Keras backend alone use the accelerators, and keeps compiled JAX programs between runs.

    TensorFlow feeds the data on every backend; on another backend it would take the accelerator's memory as
    well. The compilation cache lies in `$JAX_COMPILATION_CACHE_DIR` if set, else in
    `compilation_cache_folder()`.
    """
    if keras.backend.backend() != "tensorflow":
        import tensorflow as tf

        # Too late where TensorFlow has used its devices already: then nothing changes.
        with suppress(RuntimeError):
            for kind in ("GPU", "TPU"):
                tf.config.set_visible_devices([], kind)
    if keras.backend.backend() == "jax":
        import jax

        if jax.config.jax_compilation_cache_dir is None:
            jax.config.update("jax_compilation_cache_dir", str(compilation_cache_folder()))


def compilation_cache_folder() -> Path:
    """`$ZORRO_KERAS_CACHE/jax` if set, else `zorro_keras/jax` in the user's cache folder."""
    user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zorro_keras"
    return Path(os.environ.get(CACHE_VARIABLE) or user_cache) / "jax"


@contextmanager
def precision(mixed: bool | Literal["float16"]) -> Iterator[None]:
    """Builds models in mixed bfloat16 or float16, or in float32, and puts the policy of the process back."""
    before = keras.config.dtype_policy()
    half = "mixed_float16" if mixed == "float16" else "mixed_bfloat16"
    keras.config.set_dtype_policy(half if mixed else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
