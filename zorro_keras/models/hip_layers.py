"""The layers of HiP, made from its sizes."""

import math

import keras

from zorro_keras.layers import HierarchicalBlock, LearnedArray, PerceiverDecoder, Tokenizer
from zorro_keras.layers.activations import squared_relu
from zorro_keras.layers.initializers import attention_kernel, table_stddev
from zorro_keras.streams import Tokens

SET = "all"  # the one set of groups that a level of an unrouted HiP has


def level_blocks(levels, decoder_levels, num_train_latents, seed, options):
    """Returns the blocks of all levels as `HiPParts` names them.

    Args:
        levels: list of dicts of sizes, the last of the processor; `num_groups` by set, or int for one set.
        decoder_levels: list of dicts of sizes in the same way.
        num_train_latents: int or `None`, of the processor.
        seed: int, of the first block.
        options: dict of arguments that all blocks have.
    """
    blocks = []
    for index, row in enumerate([*levels, *decoder_levels]):
        is_processor = index == len(levels) - 1
        groups = row["num_groups"]
        block = HierarchicalBlock(
            **{**row, "num_groups": groups if isinstance(groups, dict) else {SET: groups}},
            num_train_latents=num_train_latents if is_processor else None,
            seed=seed,
            name=f"level_{index}",
            **options,
        )
        blocks.append(block)
        seed += HierarchicalBlock.num_seeds(row["num_layers"])
    *encoder, processor = blocks[: len(levels)]
    return {"encoder": encoder, "processor": processor, "decoder": blocks[len(levels) :]}


def outer_layers(streams, labels, embed_dim, label_dim, decodes_streams, dtype):
    """Returns the layers before and after the levels as `HiPParts` names them.

    Args:
        streams: dict of name to description.
        labels: dict of name to description.
        embed_dim: int, channels of the elements of a stream.
        label_dim: int, channels of those of a label: what enters the processor has as many.
        decodes_streams: bool, whether streams are reconstructed.
        dtype: dtype policy.
    """
    embeddings, positions, unembeddings = {}, {}, {}
    for name, stream in {**streams, **labels}.items():
        dim, length = label_dim if name in labels else embed_dim, stream.num_tokens
        embeddings[name] = Tokenizer(
            stream, dim, attention_kernel(), use_positions=False, dtype=dtype, name=f"{name}_embedding"
        )
        positions[name] = LearnedArray(
            length, dim, table_stddev(length), dtype=dtype, name=f"{name}_positions"
        )
        if name in labels or decodes_streams:
            unembeddings[name] = keras.layers.Dense(
                _numbers(stream), kernel_initializer="zeros", dtype=dtype, name=f"{name}_reconstruction"
            )
    return {
        "embeddings": embeddings,
        "positions": positions,
        "labels": list(labels),
        "unembeddings": unembeddings,
        "head": _head("reconstruction_head", dtype) if decodes_streams else None,
        "label_head": _head("label_head", dtype) if labels else None,
    }


def _head(name, dtype):
    return PerceiverDecoder(activation=squared_relu, dtype=dtype, name=name)


def _numbers(stream):
    """Returns how many numbers reconstruct a token: those of its patch, or one for each id."""
    return (
        stream.vocabulary_size if isinstance(stream, Tokens) else math.prod(stream.shape) // stream.num_tokens
    )
