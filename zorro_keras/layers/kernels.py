"""The one place where the library asks which backend runs it."""

import functools

import keras


@functools.cache
def flash_choice():
    """Returns Keras' `flash_attention` argument: `None` lets it choose, `False` forbids it.

    On TPU Keras 3.15's kernel assumes as many keys as queries, and without a mask falls back to a causal one:
    never right for us.
    """
    if keras.config.backend() != "jax":
        return None
    return False if any("tpu" in device.lower() for device in keras.distribution.list_devices()) else None
