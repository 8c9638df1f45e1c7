"""Sets of groups, one for each stream, that climb the levels of a HiP side by side."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from zorro_keras.layers import HierarchicalBlock, PerceiverDecoder
from zorro_keras.layers.groups import cut_groups, regroup
from zorro_keras.models.routed_readout import RoutedReadout
from zorro_keras.models.stream_inputs import StreamInputs, spread
from zorro_keras.routing import Routing, TokenLayout


@dataclass
class RoutedHiP:
    """Embeddings, levels, read-out and the way back, wired along a routing.

    It holds layers and says in which order arrays pass them. The functional model around it owns them.

    Attributes:
        routing: `Routing` of the streams at every level.
        embeddings: dict of given stream to `Tokenizer` without positions.
        positions: dict of given stream to `LearnedArray`, added to its elements, and asked by later.
        levels: list of `HierarchicalBlock` with a set of groups for each stream.
        pack: layer that joins the latents of the streams to one sequence.
        readout: `RoutedReadout` of the same routing.
        regrouping: str, see `regroup`: how the groups of a stream become those of the next level.
        decoder: list of `HierarchicalBlock` of the given streams, which mirror the levels before the last.
        head: `PerceiverDecoder` of the given streams; `None` without a decoder.
        unembeddings: dict of given stream to layer; empty without a decoder.
    """

    routing: Routing
    embeddings: dict
    positions: dict
    levels: list[HierarchicalBlock]
    pack: keras.layers.Layer
    readout: RoutedReadout
    regrouping: str
    decoder: list[HierarchicalBlock]
    head: PerceiverDecoder | None
    unembeddings: dict

    def answer(self, given: StreamInputs, num_latents=None, training=None) -> dict:
        """Returns the outputs `(B, D)` by name, and the reconstructions of the streams that are given."""
        levels = self.encode(given, num_latents, training)
        streams = self._flat(levels[-1])
        layout = TokenLayout({name: x.shape[1] for name, x in streams.items()})
        packed = self.pack(list(streams.values())) if len(streams) > 1 else next(iter(streams.values()))
        outputs = self.readout.answer(packed, layout, _seen_at_all(_seen(given)), padded=[])
        rebuilt = self.decode(levels, list(given.arrays), training) if self.decoder else {}
        return outputs | {f"{name}_reconstruction": x for name, x in rebuilt.items()}

    def encode(self, given: StreamInputs, num_latents=None, training=None) -> list:
        """Returns the latents of each level, dicts of stream to `(B, G, K, D)`.

        Args:
            given: streams of the call.
            num_latents: int, latents that each group of the last level uses; `None` for all, or those of
                training.
            training: bool, whether dropouts act.
        """
        sources, seen = self._elements(given), _seen(given)
        levels = []
        for block in self.levels:
            last = block is self.levels[-1]
            elements, masks = gathered(self._reads(block, sources), block, sources, seen)
            options = {"num_latents": num_latents if last else None, "training": training}
            levels.append(block(elements, attention_mask=masks, **options))
            sources, seen = self._flat(levels[-1]), _seen_at_all(seen)
        return levels

    def decode(self, levels, names, training=None) -> dict:
        """Returns what the positions of some given streams ask of them, by name `(B, M, P)`.

        Each is rebuilt from its own groups alone, so it knows of what its output knows of, and no more.
        """
        *skips, latents = ({name: level[name] for name in names} for level in levels)
        own = {name: [name] for name in names}
        for block, skip in zip(self.decoder, reversed(skips), strict=True):
            elements, masks = gathered(own, block, self._flat(latents), {})
            latents = block(elements, skip, masks, training=training)
        rebuilt = {}
        for name, x in latents.items():
            groups, length = x.shape[1], self.positions[name].length
            queries = cut_groups(self.positions[name](x), groups, -(-length // groups))  # B G N E
            asked = ops.reshape(queries, (-1, *queries.shape[2:]))  # B*G N E
            answers = self.head(ops.reshape(x, (-1, *x.shape[2:])), asked, training=training)
            flat = ops.reshape(answers, (-1, groups * queries.shape[2], answers.shape[-1]))
            rebuilt[name] = self.unembeddings[name](flat[:, :length])
        return rebuilt

    def _elements(self, given):
        """Returns the elements `(B, M, E)` of the given streams, with their positions."""
        elements = {}
        for name, x in given.arrays.items():
            embedded = self.embeddings[name](x, keep=given.keep(name))
            elements[name] = embedded + self.positions[name](embedded)
        return elements

    def _reads(self, block, sources):
        """Returns the streams that each set of a level reads, for those sets that a call has."""
        return {
            name: [source for source in self.routing[name] if source in sources]
            for name in block.num_groups
            if name in sources or name not in self.embeddings
        }

    def _flat(self, latents):
        """Returns the latents `(B, G * K, D)` of each stream, as the next level cuts them."""
        return {name: regroup(x, 1, self.regrouping)[:, 0] for name, x in latents.items()}


def gathered(reads, block, sources, seen):
    """Returns what the sets of a level read, cut into their groups, and masks where it is not everything.

    Several groups divide what they read among themselves: the first takes the beginning of every source, the
    last its end. Where tokens are in the order of time, each group has a stretch of time.

    Args:
        reads: dict of set to the names of its sources; a set without any reads nothing.
        block: `HierarchicalBlock`.
        sources: dict of source to tensor `(B, M, C)`.
        seen: dict of source to bool tensor `(B, M)` or `(B, 1)`, True = may be read; not of those that are
            seen whole.

    Returns:
        Dict of set to tensor `(B, G, N, C)`; dict of set to bool tensor `(B, G, N)`.
    """
    elements, masks = {}, {}
    for name, names in reads.items():
        groups = block.num_groups[name]
        cut = {source: -(-sources[source].shape[1] // groups) for source in names}
        parts = [cut_groups(sources[source], groups, length) for source, length in cut.items()]
        kept = [_kept(seen.get(source), sources[source], groups, length) for source, length in cut.items()]
        if not names:
            like = next(iter(sources.values()))
            parts = [cut_groups(ops.zeros_like(like[:, :1]), groups, 1)]
            kept = [np.zeros((1, groups, 1), bool)]
        elements[name] = ops.concatenate(parts, axis=2) if len(parts) > 1 else parts[0]
        if (mask := _joined(kept, elements[name])) is not None:
            masks[name] = mask
    return elements, masks


def _kept(keep, x, groups, length):
    """Returns what of groups may be read: a tensor `(B, G, N)`, or an array `(1, G, N)` for all examples."""
    if keep is None:
        return (np.arange(groups * length) < x.shape[1]).reshape(1, groups, length)
    keep = ops.cast(spread(keep, x, x.shape[1]), "int32")[..., None]
    return cut_groups(keep, groups, length)[..., 0] == 1


def _joined(kept, like):
    """Returns the masks of all that a set reads as one; `None` where everything may be read."""
    if all(isinstance(mask, np.ndarray) for mask in kept):
        mask = np.concatenate(kept, axis=2)
        return None if mask.all() else ops.convert_to_tensor(mask)
    batch = ops.shape(like)[0]
    kept = [ops.broadcast_to(mask, (batch, *mask.shape[1:])) for mask in map(ops.convert_to_tensor, kept)]
    return ops.concatenate(kept, axis=2) if len(kept) > 1 else kept[0]


def _seen(given):
    """Returns what may be read of the given streams, for those of which something may not."""
    return {name: given.keep(name) for name in given.arrays if given.keep(name) is not None}


def _seen_at_all(seen):
    """Returns bool `(B, 1)` by stream, True where anything of it may be read."""
    return {name: ops.any(keep, axis=1, keepdims=True) for name, keep in seen.items()}
