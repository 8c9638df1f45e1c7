"""The way through HiP: up a pyramid of groups to the processor, and down again beside it."""

from dataclasses import dataclass

from keras import ops

from zorro_keras.layers import HierarchicalBlock, PerceiverDecoder
from zorro_keras.layers.groups import join_groups, keep_places, regroup, split_groups
from zorro_keras.models.hip_layers import SET
from zorro_keras.models.stream_inputs import StreamInputs, spread
from zorro_keras.routing import GroupLayout


@dataclass
class HiPParts:
    """The layers of HiP, and how arrays pass them.

    It holds layers and says in which order arrays pass them. The functional model around it owns them.

    Attributes:
        embeddings: dict of stream and label to `Tokenizer` without positions.
        positions: dict of stream and label to `LearnedArray`, added to the embedding, and asked by later.
        labels: list of those that join before the processor.
        encoder: list of `HierarchicalBlock`, the first on groups of the streams.
        processor: `HierarchicalBlock` of one group.
        decoder: list of `HierarchicalBlock`, which mirror the encoder; empty for the encoding half.
        head: `PerceiverDecoder` of the streams; `None` for the encoding half.
        label_head: `PerceiverDecoder` of all labels; `None` without labels.
        unembeddings: dict of stream and label to layer.
        regrouping: str, see `regroup`.
        groups_by_call: bool, whether groups are dealt out among the streams of a call alone.
        read_padding: bool, whether the padding of the groups is read as if it were elements, but for streams
            that an example lacks.
    """

    embeddings: dict
    positions: dict
    labels: list
    encoder: list[HierarchicalBlock]
    processor: HierarchicalBlock
    decoder: list[HierarchicalBlock]
    head: PerceiverDecoder | None
    label_head: PerceiverDecoder | None
    unembeddings: dict
    regrouping: str = "reshape"
    groups_by_call: bool = False
    read_padding: bool = False

    def answer(self, given: StreamInputs, training=None) -> dict:
        """Returns the latents of the processor `(B, L, D)`, and the reconstruction of streams and labels."""
        levels = self.encode(given, training=training)
        outputs = {"latents": levels[-1][:, 0]}
        return outputs | self.decode(levels, self.grouped(given.arrays), training)

    def grouped(self, names) -> list:
        """Returns the streams that have groups in a call which gives streams and labels of some names."""
        return [
            name
            for name in self.positions
            if name not in self.labels and (name in names or not self.groups_by_call)
        ]

    def layout(self, names) -> GroupLayout:
        """Returns how the groups of the first level are dealt out among streams."""
        lengths = {name: self.positions[name].length for name in names}
        return GroupLayout(lengths, self.encoder[0].num_groups[SET])

    def encode(self, given: StreamInputs, num_latents=None, visible=None, training=None) -> list:
        """Returns the latents `(B, G, K, D)` of each level of the encoder, and of the processor.

        Args:
            given: streams and labels of the call.
            num_latents: int, latents that the processor uses; `None` for all, or those of training.
            visible: int tensor `(B, R)`, places of each group that are read; the others are dropped, in all
                groups the same. `None` for all.
            training: bool, whether dropouts act.
        """
        elements, mask = self._elements(given)
        if visible is not None:
            elements, mask = self._shown(elements, mask, visible)
        levels = []
        for block in self.encoder:
            if levels:
                elements, mask = self._regroup(levels[-1], block), None
            levels.append(_level(block, elements, attention_mask=mask, training=training))
        elements, mask = self._with_labels(self._regroup(levels[-1], self.processor), given)
        options = {"attention_mask": mask, "num_latents": num_latents, "training": training}
        return [*levels, _level(self.processor, elements, **options)]

    def expand(self, levels: list, training=None) -> list:
        """Returns the latents `(B, G, K, D)` of each level of the decoder."""
        *skips, latents = levels
        expanded = []
        for block, skip in zip(self.decoder, reversed(skips), strict=True):
            latents = _level(block, self._regroup(latents, block), {SET: skip}, training=training)
            expanded.append(latents)
        return expanded

    def decode(self, levels: list, streams, training=None) -> dict:
        """Returns what is asked by the positions of the streams that have groups, and of all labels."""
        outputs = {}
        if self.decoder:
            layout, latents = self.layout(streams), self.expand(levels, training)[-1]
            outputs = split_groups(self.read(latents, self.queries(latents, layout), training), layout)
        for name in self.labels:
            outputs[name] = self.label_head(
                levels[-1][:, 0], self.positions[name](levels[-1]), training=training
            )
        return {name: self.unembeddings[name](output) for name, output in outputs.items()}

    def queries(self, like, layout):
        """Returns the positions `(B, G, N, E)` that ask in each group."""
        return join_groups({name: self.positions[name](like) for name in layout.lengths}, layout)

    def read(self, latents, queries, training=None):
        """Returns what the queries of each group read of the latents `(B, G, K, D)` of their group."""
        answers = self.head(_folded(latents), _folded(queries), training=training)  # B*G N E
        return ops.reshape(answers, (-1, *queries.shape[1:]))

    def _regroup(self, latents, block):
        return regroup(latents, block.num_groups[SET], self.regrouping)

    def _elements(self, given):
        """Returns the elements `(B, G, N, E)` of the first level, and what of them may be read or `None`."""
        like = next(iter(given.arrays.values()))
        layout = self.layout(self.grouped(given.arrays))
        elements = {}
        for name in layout.lengths:
            positions = self.positions[name](like)
            if name in given.arrays:
                elements[name] = self._embedded(name, given, positions)
            else:
                elements[name] = ops.zeros_like(positions)
        return join_groups(elements, layout), self._mask(given, layout, like)

    def _shown(self, elements, mask, visible):
        """Returns elements and mask of the visible places alone, `(B, G, R, E)` and `(B, G, R)`."""
        if mask is not None:
            mask = ops.broadcast_to(mask, ops.shape(elements)[:3])[..., None]
            mask = keep_places(ops.cast(mask, "int32"), visible)[..., 0] == 1
        return keep_places(elements, visible), mask

    def _mask(self, given, layout, like):
        """Returns bool `(B, G, N)` or `(1, G, N)`, True where there is something to read, or `None`."""
        keep = {name: given.keep(name) if name in given.arrays else _nobody(like) for name in layout.lengths}
        if all(kept is None for kept in keep.values()):
            is_full = self.read_padding or layout.mask.all()
            return None if is_full else ops.convert_to_tensor(layout.mask[None])
        kept = {
            name: ops.cast(spread(keep[name], like, length), "int32")[..., None]
            for name, length in layout.lengths.items()
        }
        mask = ops.cast(join_groups(kept, layout, fill=int(self.read_padding))[..., 0], "bool")
        if not self.read_padding:
            return mask
        # The padding of a stream that an example lacks is no more to be read than its elements.
        rows = []
        for name, count in layout.groups.items():
            has = given.presence.get(name) if name in given.arrays else _nobody(like)
            rows.append(spread(None if has is None else ops.reshape(has, (-1, 1)), like, count))  # B g
        return ops.logical_and(mask, ops.concatenate(rows, axis=1)[..., None])

    def _with_labels(self, elements, given):
        """Returns the elements `(B, 1, N, C)` of the processor with the given labels, and their mask."""
        labels = [name for name in self.labels if name in given.arrays]
        if not labels:
            return elements, None
        parts, keep = [elements[:, 0]], [None]
        for name in labels:
            parts.append(self._embedded(name, given, self.positions[name](elements)))
            keep.append(given.keep(name))
        mask = None
        if any(kept is not None for kept in keep):
            rows = [spread(kept, elements, part.shape[1]) for kept, part in zip(keep, parts, strict=True)]
            mask = ops.concatenate(rows, axis=1)[:, None]  # B 1 N
        return ops.concatenate(parts, axis=1)[:, None], mask

    def _embedded(self, name, given, positions):
        return self.embeddings[name](given.arrays[name], keep=given.keep(name)) + positions


def _level(block, elements, skip=None, attention_mask=None, **options):
    """Returns the latents `(B, G, K, D)` of a level, from the elements `(B, G, N, C)` of its one set."""
    mask = None if attention_mask is None else {SET: attention_mask}
    return block({SET: elements}, skip, mask, **options)[SET]


def _nobody(like):
    """Returns a mask `(B, 1)` that is False for every example."""
    return ops.zeros((ops.shape(like)[0], 1), dtype="bool")


def _folded(x):
    """Returns `(B * G, N, C)` of `(B, G, N, C)`."""
    return ops.reshape(x, (-1, *x.shape[2:]))
