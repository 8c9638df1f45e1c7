"""A Swin for each stream, and fusion tokens that read them all on the way."""

from dataclasses import dataclass

import keras
from keras import ops

from zorro_keras.layers import FusionBlock, LearnedArray
from zorro_keras.layers.initializers import swin_kernel
from zorro_keras.layers.patches import flatten_grid
from zorro_keras.models.routed_readout import RoutedReadout
from zorro_keras.models.stream_inputs import StreamInputs, spread
from zorro_keras.models.swin_trunk import EPSILON, SwinTrunk
from zorro_keras.routing import Routing, TokenLayout


class FusionTrunk:
    """What the tokens of the learned streams go through, in step with the trunks that they read.

    Args:
        routing: `Routing` of all streams.
        learned: names of the learned streams. They share all layers but their tokens, as in Zorro-ViT.
        num_tokens: int, tokens of each.
        num_layers, num_heads, hidden_dim, mlp_ratio: as of a `SwinTrunk`.
        every_block: bool, whether the tokens read after each block, or after the last of each stage.
        stochastic_depth_rate: float in [0, 1), of the last block; it grows linearly from 0.
        seed: int, seed of the dropouts.
        dtype: dtype policy.
        remat: bool, see `FusionBlock`.
    """

    def __init__(
        self,
        routing,
        learned,
        num_tokens,
        num_layers,
        num_heads,
        hidden_dim,
        mlp_ratio,
        every_block=True,
        stochastic_depth_rate=0.0,
        seed=0,
        dtype=None,
        remat=False,
    ):
        self.routing = routing
        self.sources = [
            source for source in routing if any(source in routing[name] for name in learned if name != source)
        ]
        self.tokens = {
            name: LearnedArray(num_tokens, hidden_dim, dtype=dtype, name=f"{name}_tokens") for name in learned
        }
        places = [
            (stage, layer)
            for stage, layers in enumerate(num_layers)
            for layer in range(layers)
            if learned and (every_block or layer == layers - 1)
        ]
        self.blocks = {
            (stage, layer): FusionBlock(
                self.sources,
                num_heads[stage],
                mlp_ratio * hidden_dim * 2**stage,
                epsilon=EPSILON,
                stochastic_depth_rate=stochastic_depth_rate * place / max(len(places) - 1, 1),
                remat=remat,
                seed=seed + 4 * place,
                dtype=dtype,
                name=f"fusion_stage_{stage}_block_{layer}",
            )
            for place, (stage, layer) in enumerate(places)
        }
        widths = [hidden_dim * 2**stage for stage in range(1, len(num_layers))] if learned else []
        self.widenings = [self._widening(place, width, dtype) for place, width in enumerate(widths)]
        self.norms = {name: self._norm(f"{name}_norm", dtype) for name in learned}

    def start(self, like):
        """Returns the tokens `(B, T, C)` by learned stream."""
        return {name: tokens(like) for name, tokens in self.tokens.items()}

    def step(self, stage, layer, tokens, grids, hidden, training=None):
        """Returns the tokens after they have read the grids `(B, *grid, D)` of a block, and one another."""
        if stage and not layer and tokens:
            norm, dense = self.widenings[stage - 1]
            tokens = {name: dense(norm(x)) for name, x in tokens.items()}
        block = self.blocks.get((stage, layer))
        if block is None:
            return tokens
        sources = {**{name: flatten_grid(grid) for name, grid in grids.items()}, **tokens}
        read = {}
        for name, own in tokens.items():
            others = [s for s in self.sources if s != name and s in self.routing[name]]
            contexts = {source: sources[source] for source in others if source in sources}
            mask = _mask(contexts, own, hidden)
            read[name] = block(own, contexts, attention_mask=mask, training=training)
        return read

    def finish(self, tokens):
        """Returns the normalised tokens by learned stream."""
        return {name: self.norms[name](x) for name, x in tokens.items()}

    def _widening(self, place, channels, dtype):
        dense = keras.layers.Dense(
            channels,
            use_bias=False,
            kernel_initializer=swin_kernel(),
            dtype=dtype,
            name=f"fusion_widening_{place}",
        )
        return self._norm(f"fusion_widening_norm_{place}", dtype), dense

    def _norm(self, name, dtype):
        return keras.layers.LayerNormalization(epsilon=EPSILON, dtype=dtype, name=name)


@dataclass
class RoutedSwin:
    """Trunks, fusion and read-out, wired along a routing. The functional model around it owns the layers.

    Attributes:
        trunks: dict of given stream to `SwinTrunk`, all of one number of blocks and channels.
        fusion: `FusionTrunk` of the learned streams.
        pack: layer that joins the final tokens of the streams to one sequence.
        readout: `RoutedReadout`.
    """

    trunks: dict[str, SwinTrunk]
    fusion: FusionTrunk
    pack: keras.layers.Layer
    readout: RoutedReadout

    def answer(self, given: StreamInputs, training=None) -> dict:
        """Returns the outputs `(B, D)` by name, for the streams that are given."""
        hidden = {name: given.keep(name) for name in given.arrays if given.keep(name) is not None}
        trunks = {name: self.trunks[name] for name in given.arrays}
        grids = {name: trunks[name].embed(_kept(given.arrays[name], hidden.get(name))) for name in trunks}
        tokens = self.fusion.start(next(iter(given.arrays.values())))
        first = next(iter(trunks.values()))
        for stage, blocks in enumerate(first.stages):
            for layer in range(len(blocks)):
                grids = {name: trunks[name].step(stage, layer, x, training) for name, x in grids.items()}
                tokens = self.fusion.step(stage, layer, tokens, grids, hidden, training)
        streams = {name: flatten_grid(trunks[name].norm(x)) for name, x in grids.items()}
        streams |= self.fusion.finish(tokens)
        layout = TokenLayout({name: x.shape[1] for name, x in streams.items()})
        packed = self.pack(list(streams.values())) if len(streams) > 1 else next(iter(streams.values()))
        return self.readout.answer(packed, layout, hidden, padded=[])


def _kept(x, keep):
    """Returns `x` with zeros for the examples that lack it, so that it may hold anything there, NaN too."""
    if keep is None:
        return x
    keep = ops.reshape(keep, (-1, *[1] * (len(x.shape) - 1)))
    return ops.where(keep, x, ops.zeros_like(x))


def _mask(contexts, own, hidden):
    """Returns what tokens may read of contexts and themselves, bool `(B, 1, S)`; `None` for everything."""
    if not any(name in hidden for name in contexts):
        return None
    seen = [spread(hidden.get(name), own, x.shape[1]) for name, x in contexts.items()]
    return ops.concatenate([*seen, spread(None, own, own.shape[1])], axis=1)[:, None]


def check_apart(routing: Routing, streams):
    """Raises `ValueError` where a given stream reads others: windows hold the tokens of one grid."""
    for name in routing:
        if name in streams and set(routing[name]) != {name}:
            raise ValueError(
                "In a Swin each given stream must read itself alone, as in `Routing.zorro` and `.late`; "
                f"others need a `ZorroViTBackbone`. Received: `{name}` reads {list(routing[name])}"
            )
        if name not in streams and name not in routing[name]:
            raise ValueError(f"The learned stream `{name}` must read itself. Received: {list(routing[name])}")
