"""All outputs of a Perceiver from one encoding, some queries at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from zorro_keras.models import PerceiverIOBackbone


def decode_in_chunks(backbone: PerceiverIOBackbone, latents: Any, points_per_chunk: int) -> dict[str, Any]:
    """Returns every output, decoded in a loop over chunks of its queries.

    Each query is answered for itself, so the chunks change nothing but memory: neither the queries of a whole
    output nor what they read ever exist at once.

    Args:
        backbone: `PerceiverIOBackbone` whose outputs have queries of their own.
        latents: float tensor `(B, L, D)`, from `backbone.encode`.
        points_per_chunk: int >= 1. Queries that are answered at a time.
    """
    lengths = {name: adapter.queries.length for name, adapter in backbone.output_adapters.items()}
    short = [name for name, length in lengths.items() if length <= points_per_chunk]
    outputs = backbone.decode(latents, short) if short else {}
    for name in lengths.keys() - set(short):
        outputs[name] = _decode_long(backbone, latents, name, lengths[name], points_per_chunk)
    return outputs


def _decode_long(
    backbone: PerceiverIOBackbone, latents: Any, name: str, length: int, points_per_chunk: int
) -> Any:
    def answer(rows: Any) -> Any:
        return backbone.decode(latents, [name], rows={name: rows})[name]

    num_chunks = -(-length // points_per_chunk)
    # As even as they can be; the last one asks for the last point again where it is not full.
    size = -(-length // num_chunks)
    rows = np.minimum(np.arange(num_chunks * size), length - 1).reshape(num_chunks, size)
    answers = ops.map(answer, ops.convert_to_tensor(rows, "int32"))  # chunks B points C
    answers = ops.transpose(answers, (1, 0, 2, 3))
    batch, channels = ops.shape(latents)[0], answers.shape[-1]
    return ops.reshape(answers, (batch, num_chunks * size, channels))[:, :length]
