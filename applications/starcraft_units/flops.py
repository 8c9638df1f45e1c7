"""What an entity encoder costs: multiplications and additions of its matrix products, counted separately."""

from __future__ import annotations

from typing import Any

import keras

from zorro_keras.models import PerceiverIOBackbone


def encoder_flops(backbone: keras.Model, num_units: int | None = None) -> dict[str, int]:
    """Returns the FLOPs of one battle by part of an entity encoder, forward, and their `total`.

    A linear layer of a kernel of K numbers costs 2 K a token; attention of T queries over S keys 2 T S for
    each channel of the queries and of the values. Norms, activations, softmax and additions are left out, as
    is customary; so are categories, which are looked up.

    Args:
        backbone: `PerceiverIOBackbone` whose one input asks for its one output, or
            `EntityTransformerBackbone`; built.
        num_units: int >= 1. Slots, masked ones included. By default the most that the backbone takes.
    """
    ((name, adapter),) = backbone.input_adapters.items()
    num_units = backbone.streams[name].length if num_units is None else num_units
    kernel = adapter.stem.kernel
    products = {"features": 0 if kernel is None else num_units * _size(kernel)}
    if isinstance(backbone, PerceiverIOBackbone):
        encoder, decoder = backbone.encoder, backbone.decoder
        latents = encoder.num_latents
        products["read"] = _block(encoder.cross_attention, latents, num_units)
        blocks = encoder.num_repeats * sum(_block(block, latents, latents) for block in encoder.blocks)
        products["latents"] = blocks
        products["answer"] = _block(decoder.cross_attention, num_units, latents)
    else:
        products["layers"] = sum(_block(block, num_units, num_units) for block in backbone.blocks)
    flops = {part: 2 * count for part, count in products.items()}
    return {**flops, "total": sum(flops.values())}


def _block(block: Any, num_queries: int, num_keys: int) -> int:
    """Multiplications of a block of attention and MLP."""
    attention, mlp = block.attention, block.mlp
    by_query = _size(attention.query_dense.kernel) + _size(attention.output_dense.kernel)
    by_query += _size(mlp.hidden_dense.kernel) + _size(mlp.output_dense.kernel)
    by_key = _size(attention.key_dense.kernel) + _size(attention.value_dense.kernel)
    value_head_dim = attention.value_head_dim or attention.head_dim
    by_pair = attention.num_heads * (attention.head_dim + value_head_dim)
    return num_queries * by_query + num_keys * by_key + num_queries * num_keys * by_pair


def _size(kernel: Any) -> int:
    rows, columns = kernel.shape
    return int(rows) * int(columns)
