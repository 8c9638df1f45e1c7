"""Copies of a model, each with a share of a batch: what all of them have together.

On JAX a batch that is spread over devices is still one array, and nothing here changes it. TensorFlow's
`tf.distribute` and torch's `DistributedDataParallel` run a copy of the model for each share.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras


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


def share_of_loss(loss: Any) -> Any:
    """Returns what each replica is to answer, where all of them know `loss`, that of the whole batch.

    `tf.distribute` adds up the gradients of all replicas, where torch averages them.
    """
    if keras.backend.backend() != "tensorflow":
        return loss
    import tensorflow as tf

    return loss / tf.distribute.get_strategy().num_replicas_in_sync


def _tensorflow_gather() -> Callable | None:
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return None
    return functools.partial(context.all_gather, axis=0)


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
