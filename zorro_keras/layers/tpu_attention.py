"""Attention on a TPU by the kernel that comes with JAX, which never writes all logits to memory.

`keras.ops.dot_product_attention` reaches the same kernel, but Keras 3.15 gives it as many keys as queries,
one mask for all examples, and a causal one where there is none.
"""

import keras
from keras import ops

LANES = 128  # a TPU lays out arrays in rows of so many numbers; the kernel's blocks are multiples of it
BLOCKS = (512, 384, 256)  # queries, or keys, at a time: the largest of these that fills up the least
FEWEST_PAIRS = 512 * 512  # of queries and keys: fewer logits cost less than filling up the blocks


def suits_tpu(query, key, attention_mask=None):
    """Returns whether the kernel takes queries `(B, T, N, H)` and keys `(B, S, N, H)`, and is worth it.

    A mask may hide keys from all queries alike, `(B or 1, 1, S)`. Each device reads its own examples, so the
    devices of a distribution have to share them evenly.
    """
    lengths = query.shape[1], key.shape[1]
    if not all(isinstance(length, int) and length >= LANES for length in lengths):
        return False
    if attention_mask is not None and attention_mask.shape[1] != 1:
        return False
    return lengths[0] * lengths[1] >= FEWEST_PAIRS and _is_shared_evenly(query.shape[0])


def attend_on_tpu(query, key, value, attention_mask=None):
    """Returns `(B, T, N, E)` as `attend` does.

    Args:
        query: float tensor `(B, T, N, H)`.
        key: float tensor `(B, S, N, H)`.
        value: float tensor `(B, S, N, E)`.
        attention_mask: bool tensor `(B or 1, 1, S)`, True = may be read; `None` = all may.

    Reference:
        arXiv 2205.14135; `jax.experimental.pallas.ops.tpu.splash_attention`.
    """
    batch_size, num_keys = ops.shape(key)[:2]
    query = query * ops.cast(query.shape[-1] ** -0.5, query.dtype)
    seen = ops.ones((1, num_keys), "bool") if attention_mask is None else attention_mask[:, 0]
    seen = ops.broadcast_to(seen, (batch_size, num_keys))
    context = _on_each_device(_read, query.shape[2])(query, key, value, seen)
    if attention_mask is None:
        return context
    return ops.where(ops.any(seen, axis=1)[:, None, None, None], context, ops.zeros_like(context))


def _read(query, key, value, seen):
    import jax
    from jax.experimental.pallas.ops.tpu.splash_attention import SegmentIds

    num_queries, num_keys, num_heads = query.shape[1], key.shape[1], query.shape[2]
    block_q, block_kv = _block(num_queries), _block(num_keys)
    query = _filled_up(query, block_q)
    key, value, seen = (_filled_up(x, block_kv) for x in (key, value, seen))
    read = _kernel(num_heads, query.shape[1], key.shape[1], block_q, block_kv)
    everyone = ops.ones(query.shape[1], "int32")

    def read_one(query, key, value, seen):
        # Only what has the same number is read: 1 for every query and every key that may be seen.
        return read(query, key, value, segment_ids=SegmentIds(everyone, ops.cast(seen, "int32")))

    heads_first = (ops.swapaxes(x, 1, 2) for x in (query, key, value))
    return ops.swapaxes(jax.vmap(read_one)(*heads_first, seen), 1, 2)[:, :num_queries]


def _kernel(num_heads, num_queries, num_keys, block_q, block_kv):
    from jax.experimental.pallas.ops.tpu import splash_attention

    everything = splash_attention.FullMask((num_queries, num_keys))
    sizes = splash_attention.BlockSizes(
        block_q=block_q,
        block_kv=block_kv,
        block_q_dkv=block_q,
        block_kv_dkv=block_kv,
        block_q_dq=block_q,
        block_kv_dq=block_kv,
    )
    mask = splash_attention.MultiHeadMask([everything] * num_heads)
    return splash_attention.make_splash_mha(mask, block_sizes=sizes, head_shards=1, q_seq_shards=1)


def _block(length):
    """Returns how many queries or keys to read at a time."""
    if length <= BLOCKS[0]:
        return -(-length // LANES) * LANES
    return min(BLOCKS, key=lambda block: -length % block)


def _filled_up(x, block):
    """Returns `x` with zeros after its axis 1, which are never read, until blocks divide it."""
    filling = [(0, 0)] * len(x.shape)
    filling[1] = (0, -x.shape[1] % block)
    return ops.pad(x, filling) if filling[1][1] else x


def _is_shared_evenly(batch_size):
    distribution = keras.distribution.distribution()
    if distribution is None:
        return True
    mesh = distribution.device_mesh
    sizes = dict(zip(mesh.axis_names, mesh.shape, strict=True))
    return isinstance(batch_size, int) and batch_size % sizes[distribution.batch_dim_name] == 0


def _on_each_device(read, num_heads):
    """Returns `read` of a device's own examples, and of its own heads where a model is split.

    XLA cannot divide a kernel by itself.
    """
    distribution = keras.distribution.distribution()
    if distribution is None:
        return read
    import jax
    from jax.sharding import PartitionSpec

    mesh, batch = distribution.device_mesh, distribution.batch_dim_name
    sizes = zip(mesh.axis_names, mesh.shape, strict=True)
    split = [name for name, size in sizes if name != batch and num_heads % size == 0]
    whole = PartitionSpec(batch, None, split[0] if split else None, None)
    return jax.shard_map(
        read,
        mesh=mesh.backend_mesh,
        in_specs=(whole, whole, whole, PartitionSpec(batch, None)),
        out_specs=whole,
        check_vma=False,
    )
