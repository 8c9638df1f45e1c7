"""The way of the tokens through a routed transformer: all at once, or remembered and joined later."""

from dataclasses import dataclass

import keras
from keras import ops

from zorro_keras.layers import LearnedArray, LearnedPositions, Tokenizer
from zorro_keras.layers.block_stack import in_turn
from zorro_keras.models.routed_readout import RoutedReadout, masked_plan
from zorro_keras.models.stream_inputs import StreamInputs, spread
from zorro_keras.routing import Routing, TokenLayout


@dataclass
class RoutedTransformer:
    """Tokenizers, learned streams, blocks and read-out, wired along a routing.

    It holds layers and says in which order tokens pass them. The functional model around it owns them.

    Attributes:
        routing: `Routing` of the streams in every block.
        layout: `TokenLayout` of all streams, given ones before learned ones.
        tokenizers: dict of given stream to `Tokenizer`.
        learned: dict of learned stream to (`LearnedArray`, `LearnedPositions`).
        pack: layer that joins the tokens of the streams to one sequence.
        blocks: list of `TransformerBlock`.
        norm: layer on the final tokens.
        readout: `RoutedReadout` of the same routing.
        dense_mask: bool, whether the blocks attend under a dense mask; see `ZorroViTBackbone`.
    """

    routing: Routing
    layout: TokenLayout
    tokenizers: dict
    learned: dict
    pack: keras.layers.Layer
    blocks: list
    norm: keras.layers.Layer
    readout: RoutedReadout
    dense_mask: bool = False

    @classmethod
    def around(cls, blocks, streams, routing, num_fusion_tokens, hidden_dim, readout, dense_mask, dtype):
        """Makes the layers before and after the given blocks."""
        learned = [name for name in routing if name not in streams]
        counts = {name: stream.num_tokens for name, stream in streams.items()}
        return cls(
            routing=routing,
            layout=TokenLayout({**counts, **dict.fromkeys(learned, num_fusion_tokens)}),
            tokenizers={
                name: Tokenizer(stream, hidden_dim, dtype=dtype, name=f"{name}_tokenizer")
                for name, stream in streams.items()
            },
            learned={
                name: (
                    LearnedArray(num_fusion_tokens, hidden_dim, dtype=dtype, name=f"{name}_tokens"),
                    LearnedPositions((num_fusion_tokens,), dtype=dtype, name=f"{name}_positions"),
                )
                for name in learned
            },
            pack=keras.layers.Concatenate(axis=1, dtype=dtype, name="pack"),
            blocks=blocks,
            norm=keras.layers.LayerNormalization(epsilon=1e-6, dtype=dtype, name="norm"),
            readout=RoutedReadout(readout, routing),
            dense_mask=dense_mask,
        )

    def answer(self, given: StreamInputs, memory=None, training=None) -> dict:
        """Returns the outputs `(B, D)` by name: given streams are computed, remembered ones only read."""
        memory = memory or {}
        queries = self.layout.restrict([*given.arrays, *self.learned])
        keys = TokenLayout({**{name: self.layout[name] for name in memory}, **queries})
        hidden = {name: kept["keep"] for name, kept in memory.items() if "keep" in kept}
        hidden |= {name: given.keep(name) for name in given.arrays if given.keep(name) is not None}
        padded = [name for name in hidden if name in memory or name in given.padding_mask]
        tokens = self._tokens(given, queries)
        reading = self._reading(queries, keys, hidden, padded)
        if memory:
            for layer, block in enumerate(self.blocks):
                tokens = block(tokens, memory=_layer_of(memory, layer), training=training, **reading)
        else:
            tokens = in_turn(self.blocks, tokens, training=training, **reading)
        tokens = self.norm(tokens)
        if memory:
            tokens = self.pack(
                [*(ops.cast(kept["tokens"], tokens.dtype) for kept in memory.values()), tokens]
            )
        return self.readout.answer(tokens, keys, hidden, padded)

    def remember(self, given: StreamInputs) -> dict:
        """Returns by stream what later calls need of it: see `ZorroViTBackbone.remember`."""
        for name in given.arrays:
            missing = self.routing.dependencies(name) - set(given.arrays)
            if missing:
                raise ValueError(
                    f"`{name}` reads {sorted(missing)}, so it can be remembered only together with them. "
                    f"Received: {list(given.arrays)}"
                )
        layout = self.layout.restrict(given.arrays)
        hidden = {name: given.keep(name) for name in given.arrays if given.keep(name) is not None}
        reading = self._reading(layout, layout, hidden, given.padding_mask)
        tokens, past = self._tokens(given, layout), []
        for block in self.blocks:
            tokens, keys_and_values = block.step(tokens, **reading)
            past.append(keys_and_values)
        keys, values = (ops.stack(part, axis=1) for part in zip(*past, strict=True))  # (B, L, T, N, H)
        tokens = self.norm(tokens)
        memory = {}
        for name in layout:
            place = layout.slice(name)
            memory[name] = {
                "keys": keys[:, :, place],
                "values": values[:, :, place],
                "tokens": tokens[:, place],
            }
            if name in hidden:
                memory[name]["keep"] = spread(hidden[name], tokens, layout[name])
        return memory

    def _tokens(self, given, layout):
        """Returns the packed tokens `(B, T, D)` of the streams of a layout, before the first block."""
        like = next(iter(given.arrays.values()))
        tokens = []
        for name in layout:
            if name in given.arrays:
                tokens.append(self.tokenizers[name](given.arrays[name], keep=given.keep(name)))
            else:
                array, positions = self.learned[name]
                tokens.append(positions(array(like)))
        return self.pack(tokens) if len(tokens) > 1 else tokens[0]

    def _reading(self, queries, keys, hidden, padded):
        """Returns what an attention needs to follow the routing: its plan, or a mask that says the same."""
        plan, mask = masked_plan(self.routing.restrict(keys), queries, keys, hidden, padded)
        if not self.dense_mask:
            return {"plan": plan, "attention_mask": mask}
        table = ops.convert_to_tensor(plan.mask[None])
        return {"attention_mask": table if mask is None else ops.logical_and(table, mask)}


def _layer_of(memory, layer):
    """Returns the keys and the values `(B, M, N, H)` that one block remembers of all streams."""
    return tuple(
        ops.concatenate([kept[part][:, layer] for kept in memory.values()], axis=1)
        for part in ("keys", "values")
    )
