"""HiP: a Perceiver in groups, level upon level, from raw elements to one set of latents and back."""

import keras
import keras_hub

from zorro_keras.layers.groups import REGROUPINGS
from zorro_keras.models.any_streams import AnyStreams
from zorro_keras.models.described_streams import streams_of
from zorro_keras.models.encoding_half import encoding_half
from zorro_keras.models.hip_layers import level_blocks, outer_layers
from zorro_keras.models.hip_parts import HiPParts
from zorro_keras.models.hip_variants import COLUMNS, VARIANTS
from zorro_keras.models.named_sizes import sizes_of
from zorro_keras.models.stream_inputs import StreamInputs
from zorro_keras.models.unknown_names import check_names
from zorro_keras.streams import RESERVED_NAMES


@keras.saving.register_keras_serializable("zorro_keras")
class HiPBackbone(AnyStreams, keras_hub.models.Backbone):
    """Groups of elements are read by latents of their own, whose groups are joined level by level to one.

    As attention stays inside of groups, hundreds of thousands of raw elements are read at a cost that grows
    with their number alone. The decoder goes back the way, each level beside the encoder's of the same size,
    and the learned positions that were added to the elements ask for them again.

    Args:
        streams: dict of name to description, see `zorro_keras.streams`; raw elements are `Embeddings`, or
            patches of one pixel or sample.
        levels: list of dicts of sizes, see `HierarchicalBlock`: `num_groups`, `num_layers`, `num_latents`
            (of each group), `hidden_dim`, `num_heads`. The last is the processor, of one group.
        decoder_levels: list of the same for the way back, as many as there are before the processor; empty
            for the encoding half, which reconstructs nothing but labels.
        embed_dim: int, E, channels of an element and of its position.
        labels: dict of name to description: what joins the latents just before the processor, past all
            groups, and is read back from its output alone; `None` for none.
        regrouping: "reshape" joins neighbouring groups; "transpose_reshape" mixes all of them at each level.
        groups_by_call: bool, whether the groups are dealt out among the streams of a call alone, as in the
            published code, for data sets of other streams each. Otherwise every stream keeps its groups, and
            those of an absent one read nothing.
        read_padding: bool, whether the padding of groups is read like elements of zeros, as in the published
            code; it changes the result. Of a stream that an example lacks it is never read.
        num_train_latents: int, see `HierarchicalBlock`, of the processor.
        dropout_rate: float in [0, 1), on the result of each branch of a block.
        stochastic_depth_rate: float in [0, 1), probability to skip a branch of a self-attention layer.
        remat: bool, whether training recomputes each branch in the backward pass.
        seed: int, seed of all dropouts.

    Call arguments:
        inputs: dict of stream or label to array `(B, *stream.shape)`. A key that is missing or `None` leaves
            it out. `inputs["presence"]` may map names to bool `(B,)`, True where the example has it;
            `inputs["padding_mask"]` names to bool `(B, M)`, True where the element is real.

    Returns:
        Dict of float tensors: `latents` `(B, L, D)`, of the processor; each stream that has groups, also an
        absent one, `(B, M, P)` with P the numbers of a patch; each label in the same way. Of `Tokens` P is
        the size of the vocabulary. Without decoder levels no streams.

    Raises:
        ValueError: for levels that do not fit together, unknown names, or wrong shapes.

    Example:

    ```python
    streams = {"video": zk.streams.Embeddings(401_408, 3), "audio": zk.streams.Embeddings(122_880, 1)}
    backbone = zk.models.HiPBackbone.from_variant("256", streams)
    backbone({"video": pixels, "audio": samples})  # {"latents": (B, 64, 1024), "video", "audio"}
    encoder = backbone.encoding_half()  # {"latents"} alone, with the same weights
    ```

    Reference:
        HiP, arXiv 2202.10890. Positions are as wide as the embedding: the published option of a further
        projection does nothing but add a linear layer. No published weights are known.
    """

    def __init__(
        self,
        streams,
        levels,
        decoder_levels=(),
        embed_dim=32,
        labels=None,
        regrouping="reshape",
        groups_by_call=False,
        read_padding=False,
        num_train_latents=None,
        dropout_rate=0.0,
        stochastic_depth_rate=0.0,
        remat=False,
        seed=0,
        dtype=None,
        name="hip_backbone",
        **kwargs,
    ):
        streams, labels = dict(streams), dict(labels or {})
        levels, decoder_levels = [dict(row) for row in levels], [dict(row) for row in decoder_levels]
        _check_names(streams, labels)
        _check_levels(levels, decoder_levels, num_train_latents)
        if regrouping not in REGROUPINGS:
            raise ValueError(f"`regrouping` must be one of {REGROUPINGS}. Received: {regrouping!r}")

        # === Layers ===
        block_options = {
            "dropout_rate": dropout_rate,
            "stochastic_depth_rate": stochastic_depth_rate,
            "remat": remat,
            "dtype": dtype,
        }
        parts = HiPParts(
            **outer_layers(streams, labels, embed_dim, levels[-2]["hidden_dim"], bool(decoder_levels), dtype),
            **level_blocks(levels, decoder_levels, num_train_latents, seed, block_options),
            regrouping=regrouping,
            groups_by_call=groups_by_call,
            read_padding=read_padding,
        )

        # === Model ===
        inputs = {
            name: keras.Input(stream.shape, name=name, dtype=stream.dtype, optional=True)
            for name, stream in {**streams, **labels}.items()
        }
        outputs = parts.answer(StreamInputs(inputs))
        super().__init__(inputs=inputs, outputs=outputs, dtype=dtype, name=name, **kwargs)

        # === Config ===
        self.parts = parts
        self.streams = streams
        self.levels = levels
        self.decoder_levels = decoder_levels
        self.embed_dim = embed_dim
        self.labels = labels
        self.regrouping = regrouping
        self.groups_by_call = groups_by_call
        self.read_padding = read_padding
        self.num_train_latents = num_train_latents
        self.dropout_rate = dropout_rate
        self.stochastic_depth_rate = stochastic_depth_rate
        self.remat = remat
        self.seed = seed

    @classmethod
    def from_variant(cls, variant, streams, **overrides):
        """Builds a published size: "mini", "16", "256" or "16x3"; keyword arguments override it."""
        return cls(streams, **{**sizes_of(variant, VARIANTS), **overrides})

    def answer(self, inputs, training=None):
        """Returns the outputs for the streams and labels that are given: what a call runs."""
        return self.parts.answer(self.parse(inputs), training=training)

    def encode(self, inputs, num_latents=None, training=None):
        """Returns what each level makes of the inputs, without the way back.

        Args:
            inputs: dict as for a call.
            num_latents: int, latents that the processor uses; `None` for all, or in training for
                `num_train_latents`.
            training: bool, whether dropouts act.

        Returns:
            Dict of `level_0`, `level_1` and so on to tensors `(B, G, K, D)`; the last is the processor's.
        """
        levels = self.parts.encode(self.parse(inputs), num_latents, training)
        return {f"level_{index}": level for index, level in enumerate(levels)}

    def decode(self, encoded, streams=None, training=None):
        """Returns the reconstructions of streams and labels from what `encode` returned.

        Args:
            encoded: dict as `encode` returns it.
            streams: names of the streams that were encoded, needed with `groups_by_call`: the groups say not
                whose they are. Otherwise all streams are decoded.
            training: bool, whether dropouts act.

        Raises:
            ValueError: for unknown names, or none where they are needed.
        """
        if self.groups_by_call and streams is None:
            raise ValueError(
                f"`streams` must name which of {list(self.streams)} were encoded, as `groups_by_call` deals "
                "the groups out among them. Received: streams=None"
            )
        check_names("streams", streams or (), self.streams)
        levels = [encoded[f"level_{index}"] for index in range(len(self.levels))]
        names = self.streams if streams is None else streams
        return self.parts.decode(levels, self.parts.grouped(names), training)

    def encoding_half(self):
        """Returns a copy without decoder levels, which gives the same `latents` and read-back labels."""
        return encoding_half(self)

    def parse(self, inputs):
        """Returns the `StreamInputs` of a call, checked."""
        return StreamInputs.parse(inputs, {**self.streams, **self.labels})

    def get_config(self):
        described = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "streams": {name: described(stream) for name, stream in self.streams.items()},
            "levels": self.levels,
            "decoder_levels": self.decoder_levels,
            "embed_dim": self.embed_dim,
            "labels": {name: described(label) for name, label in self.labels.items()},
            "regrouping": self.regrouping,
            "groups_by_call": self.groups_by_call,
            "read_padding": self.read_padding,
            "num_train_latents": self.num_train_latents,
            "dropout_rate": self.dropout_rate,
            "stochastic_depth_rate": self.stochastic_depth_rate,
            "remat": self.remat,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        described = {kind: streams_of(config[kind] or {}) for kind in ("streams", "labels")}
        return super().from_config({**config, **described})


def _check_names(streams, labels):
    taken = {*RESERVED_NAMES, "latents"}
    wrong = sorted(set(streams) & set(labels) | taken & {*streams, *labels})
    if not streams or wrong:
        raise ValueError(
            "`streams` must name at least one stream, and no name may be a label's as well, or one of "
            f"{sorted(taken)}. Received: streams={list(streams)}, labels={list(labels)}"
        )


def _check_levels(levels, decoder_levels, num_train_latents):
    for row in [*levels, *decoder_levels]:
        if set(row) != set(COLUMNS):
            raise ValueError(f"A level must have the sizes {list(COLUMNS)}. Received: {row}")
    if len(levels) < 2 or levels[-1]["num_groups"] != 1:
        raise ValueError(
            "`levels` must be two at least, and the last, the processor, must have one group. "
            f"Received: num_groups={[row['num_groups'] for row in levels]}"
        )
    there, back = (
        [(row["num_groups"], row["num_latents"]) for row in rows] for rows in (levels[:-1], decoder_levels)
    )
    if back and back != there[::-1]:
        raise ValueError(
            "`decoder_levels` must mirror the groups and latents of the levels before the processor, "
            f"{there[::-1]}. Received: {back}"
        )
    if back and num_train_latents is not None and num_train_latents % back[0][0]:
        raise ValueError(
            f"`num_train_latents` must divide into the {back[0][0]} groups of the first decoder level. "
            f"Received: num_train_latents={num_train_latents}"
        )
