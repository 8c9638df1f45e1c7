"""Copies of a model, each with a share of a batch: what all of them have together.

On JAX a batch that is spread over devices is still one array, and nothing here changes it. TensorFlow's
`tf.distribute` and torch's `DistributedDataParallel` run a copy of the model for each share.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np


def of_all_replicas(x: Any) -> Any:
    """Returns a tensor `(B, ...)` of each replica as one, in the order of the replicas; alone, `x` itself.

    Gradients find their way back to the replica that an example is on. torch's shares must be of one size.
    """
    gather = {"tensorflow": _tensorflow_gather, "torch": _torch_gather}.get(keras.backend.backend())
    gather = gather and gather()
    if gather is None:
        return x
    if keras.backend.standardize_dtype(x.dtype) == "bool":  # of which not every way to gather takes any
        return keras.ops.cast(gather(keras.ops.cast(x, "int32")), "bool")
    return gather(x)


def sum_of_replicas(x: Any) -> Any:
    """Returns the sum of what each replica of `tf.distribute` has; alone, and elsewhere, `x` itself.

    Args:
        x: tensor, or list of tensors and `None`.
    """
    context = _tensorflow_context()
    if context is None:
        return x
    import tensorflow as tf

    values = [tf.convert_to_tensor(value) for value in tf.nest.flatten(x) if value is not None]
    sums = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, values))
    return tf.nest.map_structure(lambda value: None if value is None else next(sums), x)


def share_of_loss(loss: Any) -> Any:
    """Returns what each replica is to answer, where all of them know `loss`, that of the whole batch.

    `tf.distribute` adds up the losses and gradients of all replicas, where torch averages them.
    """
    context = _tensorflow_context()
    return loss if context is None else loss / context.num_replicas_in_sync


def array_of(variable: Any) -> np.ndarray:
    """Returns the value of a variable or tensor: the first copy's, or the sum of those that count apart."""
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(variable)))


def in_each_copy(variable: keras.Variable, change: Callable[..., None], *values: Any) -> None:
    """Runs `change(*values)` once for each copy of the variables; alone, once.

    In there, what is read and assigned is the copy's own, as if there were no other: so it may depend on a
    condition, which `tf.distribute` allows of no replica. It must be the same change for all.

    Args:
        variable: one that has a copy on each device.
        change: function of `values`.
        values: nested tensors that all replicas have alike.
    """
    context = _tensorflow_context()
    if context is None:
        change(*values)
        return

    def change_all(strategy: Any, *values: Any) -> None:
        strategy.extended.update(variable.value, lambda _, *own: change(*own), values, group=False)

    context.merge_call(change_all, args=values)


def _tensorflow_context() -> Any:
    """The replica that `tf.distribute` runs at the moment; None on other backends and where it is alone."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return None if context is None or context.num_replicas_in_sync == 1 else context


def _tensorflow_gather() -> Callable | None:
    context = _tensorflow_context()
    return None if context is None else functools.partial(context.all_gather, axis=0)


def _torch_gather() -> Callable | None:
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return None
    return _torch_gather_function().apply if distributed.get_world_size() > 1 else None


@functools.cache
def _torch_gather_function() -> Any:
    import torch
    from torch import distributed

    class Gather(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, x: Any) -> Any:
            shares = [torch.empty_like(x) for _ in range(distributed.get_world_size())]
            distributed.all_gather(shares, x.contiguous())
            return torch.cat(shares)

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            # Each replica's loss depends on all shares.
            gradient = gradient.clone(memory_format=torch.contiguous_format)
            distributed.all_reduce(gradient)
            return gradient.chunk(distributed.get_world_size())[distributed.get_rank()]

    return Gather
