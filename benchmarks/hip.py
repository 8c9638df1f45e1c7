"""The groups of HiP folded into the batch, against one attention under a dense mask, with the same weights.

The first level of Zorro-HiP-16 reads the 320 audio and 1568 video tokens of the paper's clip, in 8 groups of
video, 4 of audio and 4 of fusion, with 128 latents each; one of its self-attention layers follows. Both kinds
give the same numbers: their largest difference is printed.
"""

import dataclasses
import functools

import measure

GROUPS = {"video": 8, "audio": 4, "fusion": 4}
HEADS = 4


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Tokens of each stream; latents of each group; channels of both."""

    video: int = 1568
    audio: int = 320
    latents: int = 128
    channels: int = 768
    latent_channels: int = 128


QUICK = Sizes(video=32, audio=16, latents=8, channels=32, latent_channels=16)


def level(sizes: Sizes):
    """Returns a built level, and what each of its sets reads: dict of tensors `(1, G, N, C)`."""
    import numpy as np
    from keras import ops

    import zorro_keras as zk

    rng, elements = np.random.default_rng(0), {}
    counts, width = {"video": sizes.video, "audio": sizes.audio}, sizes.channels
    tokens = {name: rng.normal(size=(1, count, width)).astype("float32") for name, count in counts.items()}
    for name, groups in GROUPS.items():
        sources = [name] if name in tokens else list(tokens)
        cut = [tokens[source].reshape(1, groups, -1, width) for source in sources]
        elements[name] = ops.convert_to_tensor(np.concatenate(cut, axis=2))
    block = zk.layers.HierarchicalBlock(
        GROUPS, sizes.latents, sizes.latent_channels, num_layers=1, num_heads=HEADS
    )
    block.build({name: x.shape for name, x in elements.items()})
    return block, elements


def dense_level(block, elements, sizes: Sizes):
    """Returns what `block` does by one product of all latents with all elements, most of them masked."""
    import numpy as np
    from keras import ops

    query_groups = np.repeat(np.arange(sum(GROUPS.values())), sizes.latents)
    lengths = [elements[name].shape[2] for name, groups in GROUPS.items() for _ in range(groups)]
    key_groups = np.repeat(np.arange(len(lengths)), lengths)
    reads = ops.convert_to_tensor((query_groups[:, None] == key_groups)[None])
    thinks = ops.convert_to_tensor((query_groups[:, None] == query_groups)[None])

    def run(*values):
        packed = ops.concatenate([ops.reshape(x, (1, -1, sizes.channels)) for x in values], axis=1)
        latents = ops.concatenate([block.latents[name](packed) for name in GROUPS], axis=1)
        latents = block.cross_attention(latents, packed, attention_mask=reads)
        return dense_block(block.blocks[0], latents, thinks)

    return run


def dense_block(block, latents, mask):
    """Returns a transformer block whose every token may have a mask of its own."""
    normed = block.attention_norm(latents)
    latents = latents + block.attention(normed, attention_mask=mask)
    return latents + block.mlp(block.mlp_norm(latents))


def rows(sizes: Sizes, turns: int) -> list[measure.Row]:
    import numpy as np
    from keras import ops

    block, elements = level(sizes)
    dense = dense_level(block, elements, sizes)

    def folded(*values):
        latents = block(dict(zip(GROUPS, values, strict=True)))
        return ops.concatenate(
            [ops.reshape(latents[name], (1, -1, sizes.latent_channels)) for name in GROUPS], axis=1
        )

    values, found = list(elements.values()), []
    for step, compiled in (
        ("forward", measure.compiled),
        ("forward and backward", measure.compiled_gradients),
    ):
        runs = [functools.partial(compiled(kind), *values) for kind in (folded, dense)]
        if step == "forward":
            apart = np.abs(ops.convert_to_numpy(runs[0]()) - ops.convert_to_numpy(runs[1]())).max()
        folded_seconds, dense_seconds = measure.seconds_in_turns(runs, turns=turns)
        found.append(
            measure.Row(
                f"HiP level, {step}: dense / groups",
                dense_seconds / folded_seconds,
                1.0,
                detail=f"groups {folded_seconds:.3f} s, dense {dense_seconds:.3f} s, {apart:.0e} apart",
            )
        )
    return found


def main() -> None:
    arguments = measure.parser(__doc__, policy=True).parse_args()
    sizes, turns = (QUICK, 1) if arguments.quick else (Sizes(), 9)
    measure.show(rows(sizes, turns), arguments)


if __name__ == "__main__":
    main()
