"""Zorro on HiP: a set of groups for each stream at every level, and one for fusion that reads them all."""

import keras
import keras_hub

from zorro_keras.layers import Readout
from zorro_keras.layers.groups import REGROUPINGS
from zorro_keras.models.any_streams import AnyStreams
from zorro_keras.models.described_streams import streams_config, streams_of
from zorro_keras.models.encoding_half import encoding_half
from zorro_keras.models.hip_layers import level_blocks, outer_layers
from zorro_keras.models.hip_variants import VARIANTS
from zorro_keras.models.named_sizes import sizes_of
from zorro_keras.models.routed_hip import RoutedHiP
from zorro_keras.models.routed_readout import RoutedReadout, check_routed
from zorro_keras.models.stream_inputs import StreamInputs
from zorro_keras.models.zorro_hip_levels import check_levels, dealt_levels, decoder_rows, rows_of
from zorro_keras.routing import Routing


@keras.saving.register_keras_serializable("zorro_keras")
class ZorroHiPBackbone(AnyStreams, keras_hub.models.Backbone):
    """A HiP whose groups each belong to one stream, so that a routing decides what a group reads.

    At every level a stream has a set of groups, with latents of its own; all sets share the other weights.
    The groups of a set divide among themselves what its stream may read of the level below. With the default
    routing a modality's groups read that modality alone, up to the end, and those of `fusion` read all sets.
    So each stream's output is the same whatever the others hold, and the model answers to any subset of its
    streams. Learned queries read the result out.

    Args:
        streams: dict of name to description, see `zorro_keras.streams`: patches, or raw elements as patches
            of one pixel or sample.
        levels: list of dicts of sizes, see `HierarchicalBlock`: `num_groups` (dict of stream, given or
            learned, to int), `num_layers`, `num_latents` (of each group), `hidden_dim`, `num_heads`. A
            learned stream that the first levels leave out begins later.
        decoder_levels: list of the same for the way back, of the given streams alone and as many as there
            are before the last; empty for none.
        embed_dim: int, E, channels of an element and of its position. HiP's 16 or 32 are meant for pixels and
            samples.
        routing: `Routing` over the streams and any learned streams such as `fusion`; `None` for
            `Routing.zorro(streams)`.
        regrouping: "reshape" joins neighbouring groups of a stream; "transpose_reshape" mixes all of them at
            each level.
        num_train_latents: int, see `HierarchicalBlock`, of the last level.
        dropout_rate: float in [0, 1), on the result of each branch of a block.
        stochastic_depth_rate: float in [0, 1), probability to skip a branch of a self-attention layer.
        remat: bool, whether training recomputes each branch in the backward pass to save memory.
        seed: int, seed of all dropouts.

    Call arguments:
        inputs: dict of stream to array `(B, *stream.shape)`. A key that is missing or `None` leaves the
            stream out. `inputs["presence"]` may map streams to bool `(B,)`, True where the example has it;
            `inputs["padding_mask"]` streams to bool `(B, M)`, True where the element is real.

    Returns:
        Dict of float tensors `(B, D)`: one for each stream that was given or is learned, and `global`, which
        reads them all. Where an example lacks a stream, the stream's own output is zero. With decoder levels
        also `{stream}_reconstruction` `(B, M, P)` of each that was given, with P the numbers of a patch.

    Raises:
        ValueError: for unknown streams, wrong shapes, a routing or levels that do not fit the streams.

    Example:

    ```python
    streams = {"audio": zk.streams.Spectrogram(640, 128), "video": zk.streams.Video(8, 224, 224)}
    backbone = zk.models.ZorroHiPBackbone.from_variant("16", streams)
    backbone({"audio": mel, "video": clip})  # {"audio", "video", "fusion", "global"}: (B, 1024)
    ```

    Reference:
        Zorro, arXiv 2301.09595, applies its masks to HiP, arXiv 2202.10890, and leaves open which: that no
        level joins the sets, and how groups are dealt out among them, is our choice.
    """

    def __init__(
        self,
        streams,
        levels,
        decoder_levels=(),
        embed_dim=768,
        routing=None,
        regrouping="reshape",
        num_train_latents=None,
        dropout_rate=0.0,
        stochastic_depth_rate=0.0,
        remat=False,
        seed=0,
        dtype=None,
        name="zorro_hip_backbone",
        **kwargs,
    ):
        streams = dict(streams)
        routing = Routing.zorro(streams) if routing is None else routing
        levels, decoder_levels = [dict(row) for row in levels], [dict(row) for row in decoder_levels]
        check_routed(streams, routing, num_fusion_tokens=1)
        check_levels(streams, routing, levels, decoder_levels)
        if regrouping not in REGROUPINGS:
            raise ValueError(f"`regrouping` must be one of {REGROUPINGS}. Received: {regrouping!r}")

        # === Layers ===
        block_options = {
            "dropout_rate": dropout_rate,
            "stochastic_depth_rate": stochastic_depth_rate,
            "remat": remat,
            "dtype": dtype,
        }
        blocks = level_blocks(levels, decoder_levels, num_train_latents, seed, block_options)
        outer = outer_layers(streams, {}, embed_dim, None, bool(decoder_levels), dtype)
        readout = Readout([*routing, "global"], levels[-1]["num_heads"], dtype=dtype, name="readout")
        hip = RoutedHiP(
            routing=routing,
            levels=[*blocks["encoder"], blocks["processor"]],
            decoder=blocks["decoder"],
            pack=keras.layers.Concatenate(axis=1, dtype=dtype, name="pack"),
            readout=RoutedReadout(readout, routing),
            regrouping=regrouping,
            **{part: outer[part] for part in ("embeddings", "positions", "head", "unembeddings")},
        )

        # === Model ===
        inputs = {
            stream: keras.Input(about.shape, name=stream, dtype=about.dtype, optional=True)
            for stream, about in streams.items()
        }
        outputs = hip.answer(StreamInputs(inputs))
        super().__init__(inputs=inputs, outputs=outputs, dtype=dtype, name=name, **kwargs)

        # === Config ===
        self.hip = hip
        self.streams = streams
        self.levels = levels
        self.decoder_levels = decoder_levels
        self.embed_dim = embed_dim
        self.routing = routing
        self.regrouping = regrouping
        self.num_train_latents = num_train_latents
        self.dropout_rate = dropout_rate
        self.stochastic_depth_rate = stochastic_depth_rate
        self.remat = remat
        self.seed = seed

    @classmethod
    def from_variant(cls, variant, streams, routing=None, reconstructs=False, columns=None, **overrides):
        """Builds the sizes of a published HiP: "mini", "16", "256" or "16x3".

        Of the groups of a level each learned stream has a quarter. The others are dealt out among the given
        streams by their elements, each count rounded down to a power of two that leaves none empty.

        Args:
            variant: str.
            streams: dict of name to description.
            routing: as in the constructor.
            reconstructs: bool, whether the published way back is added.
            columns: dict of a size of the levels to its sequence of int, one for each level, which replace
                the published ones. `num_groups` counts all groups of a level.
            **overrides: other arguments of the constructor.
        """
        routing = Routing.zorro(streams) if routing is None else routing
        sizes = sizes_of(variant, VARIANTS)
        levels = dealt_levels(rows_of(sizes["levels"], columns or {}), streams, routing)
        back = decoder_rows(sizes["decoder_levels"], levels, streams) if reconstructs else []
        given = {"levels": levels, "decoder_levels": back, "routing": routing, **overrides}
        return cls(streams, **given)

    def answer(self, inputs, num_latents=None, training=None):
        """Returns the outputs for the streams that `inputs` holds: what a call runs.

        Args:
            inputs: dict as for a call.
            num_latents: int, latents that each group of the last level uses; `None` for all, or in training
                for `num_train_latents`.
            training: bool, whether dropouts act.
        """
        return self.hip.answer(StreamInputs.parse(inputs, self.streams), num_latents, training)

    def dependents(self, stream):
        """Returns the names of the outputs that can change when the values of `stream` change."""
        rebuilt = {
            f"{name}_reconstruction" for name in self.streams if stream in self.routing.dependencies(name)
        }
        return self.hip.readout.dependents(stream) | (rebuilt if self.decoder_levels else set())

    def encoding_half(self):
        """Returns a copy without decoder levels, which gives the same outputs but no reconstructions."""
        return encoding_half(self)

    def get_config(self):
        return {
            **super().get_config(),
            "streams": streams_config(self.streams),
            "levels": self.levels,
            "decoder_levels": self.decoder_levels,
            "embed_dim": self.embed_dim,
            "routing": self.routing.get_config(),
            "regrouping": self.regrouping,
            "num_train_latents": self.num_train_latents,
            "dropout_rate": self.dropout_rate,
            "stochastic_depth_rate": self.stochastic_depth_rate,
            "remat": self.remat,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        streams = streams_of(config["streams"])
        return super().from_config(
            {**config, "streams": streams, "routing": Routing.from_config(config["routing"])}
        )
