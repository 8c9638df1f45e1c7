"""Zorro on a vision transformer: one trunk for all streams, and a routing that keeps them apart."""

import keras
import keras_hub
from keras import ops, tree

from zorro_keras.layers import Readout, TransformerBlock
from zorro_keras.models.any_streams import AnyStreams
from zorro_keras.models.copied import check_copyable, copy_trainable
from zorro_keras.models.described_streams import streams_config, streams_of
from zorro_keras.models.named_sizes import sizes_of
from zorro_keras.models.routed_readout import check_routed
from zorro_keras.models.routed_transformer import RoutedTransformer
from zorro_keras.models.stream_inputs import StreamInputs
from zorro_keras.routing import Routing

# Widths of DeiT-Ti, ViT-S, ViT-B and ViT-L: arXiv 2012.12877, Table 1, and arXiv 2010.11929, Table 1.
VARIANTS = {
    "tiny": {"num_layers": 12, "num_heads": 3, "hidden_dim": 192, "mlp_dim": 768},
    "small": {"num_layers": 12, "num_heads": 6, "hidden_dim": 384, "mlp_dim": 1536},
    "base": {"num_layers": 12, "num_heads": 12, "hidden_dim": 768, "mlp_dim": 3072},
    "large": {"num_layers": 24, "num_heads": 16, "hidden_dim": 1024, "mlp_dim": 4096},
}


@keras.saving.register_keras_serializable("zorro_keras")
class ZorroViTBackbone(AnyStreams, keras_hub.models.Backbone):
    """A vision transformer over several streams, in which a routing decides who reads whom.

    Every stream is cut into tokens; learned fusion tokens join them; all pass through the same blocks, where
    a token attends to those that its routing lets it read. Learned queries read the result out. The default
    routing keeps each modality to itself: its output is the same whatever the others hold, and the model
    answers to any subset of its streams.

    Args:
        streams: dict of name to description, see `zorro_keras.streams`.
        num_layers: int, blocks of the trunk.
        num_heads: int, heads of each attention; must divide `hidden_dim`.
        hidden_dim: int, D, channels of a token.
        mlp_dim: int, channels inside each MLP.
        routing: `Routing` over the streams and any learned streams such as `fusion`; `None` for
            `Routing.zorro(streams)`.
        num_fusion_tokens: int, tokens of each learned stream: one that the routing has and `streams` has not.
        readout_mlp: bool, whether an MLP follows the decoding cross-attention.
        dropout_rate: float in [0, 1), on the result of each branch of a block.
        stochastic_depth_rate: float in [0, 1), probability to skip a branch of the last block; it grows
            linearly from 0 at the first.
        remat: bool, whether training recomputes each block in the backward pass to save memory.
        dense_mask: bool, whether the blocks attend under one dense mask. Equal numbers, slower, and without
            the promise that Inf and NaN stay in their stream: an oracle for tests and benchmarks.
        seed: int, seed of all dropouts.

    Call arguments:
        inputs: dict of stream to array `(B, *stream.shape)`. A key that is missing or `None` leaves the
            stream out. `inputs["presence"]` may map streams to bool `(B,)`, True where the example has it;
            `inputs["padding_mask"]` streams to bool `(B, T)`, True where the token is real.

    Returns:
        Dict of float tensors `(B, D)`: one for each stream that was given or is learned, and `global`, which
        reads them all. Where an example lacks a stream, the stream's own output is zero.

    Raises:
        ValueError: for unknown streams, wrong shapes, or a routing that does not fit the streams.

    Example:

    ```python
    streams = {"audio": zk.streams.Spectrogram(640, 128), "video": zk.streams.Video(8, 224, 224)}
    backbone = zk.models.ZorroViTBackbone.from_variant("base", streams=streams)
    backbone({"audio": mel, "video": clip})  # {"audio", "video", "fusion", "global"}: (B, 768)
    backbone({"audio": mel})  # {"audio", "fusion", "global"}, for what audio alone costs
    ```

    Reference:
        Zorro, arXiv 2301.09595, Figure 2. The figure leaves open the number of fusion tokens and the form of
        the read-out; 16 tokens and a pre-norm cross-attention with residual are our choice.
    """

    def __init__(
        self,
        streams,
        num_layers,
        num_heads,
        hidden_dim,
        mlp_dim,
        routing=None,
        num_fusion_tokens=16,
        readout_mlp=False,
        dropout_rate=0.0,
        stochastic_depth_rate=0.0,
        remat=False,
        dense_mask=False,
        seed=0,
        dtype=None,
        name="zorro_vit_backbone",
        **kwargs,
    ):
        streams = dict(streams)
        routing = Routing.zorro(streams) if routing is None else routing
        check_routed(streams, routing, num_fusion_tokens)
        if num_layers < 1:
            raise ValueError(f"`num_layers` must be positive. Received: num_layers={num_layers}")

        # === Layers ===
        blocks = [
            TransformerBlock(
                num_heads,
                mlp_dim,
                dropout_rate=dropout_rate,
                stochastic_depth_rate=stochastic_depth_rate * layer / max(num_layers - 1, 1),
                remat=remat,
                seed=seed + 4 * layer,
                dtype=dtype,
                name=f"block_{layer}",
            )
            for layer in range(num_layers)
        ]
        readout_mlp_dim = mlp_dim if readout_mlp else 0
        readout = Readout([*routing, "global"], num_heads, readout_mlp_dim, dtype=dtype, name="readout")
        transformer = RoutedTransformer.around(
            blocks, streams, routing, num_fusion_tokens, hidden_dim, readout, dense_mask, dtype
        )

        # === Model ===
        inputs = {
            name: keras.Input(stream.shape, name=name, dtype=stream.dtype, optional=True)
            for name, stream in streams.items()
        }
        outputs = transformer.answer(StreamInputs(inputs))
        super().__init__(inputs=inputs, outputs=outputs, dtype=dtype, name=name, **kwargs)

        # === Config ===
        self.transformer = transformer
        self.streams = streams
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.hidden_dim = hidden_dim
        self.mlp_dim = mlp_dim
        self.routing = routing
        self.num_fusion_tokens = num_fusion_tokens
        self.readout_mlp = readout_mlp
        self.dropout_rate = dropout_rate
        self.stochastic_depth_rate = stochastic_depth_rate
        self.remat = remat
        self.dense_mask = dense_mask
        self.seed = seed

    @classmethod
    def from_variant(cls, variant, streams, **overrides):
        """Builds a published size: "tiny", "small", "base" or "large"; keyword arguments override it."""
        return cls(streams, **{**sizes_of(variant, VARIANTS), **overrides})

    def answer(self, inputs, training=None):
        """Returns the outputs for the streams that `inputs` holds: what a call runs."""
        return self.transformer.answer(StreamInputs.parse(inputs, self.streams), training=training)

    def remember(self, inputs):
        """Runs some streams alone and keeps what other streams need to read them later.

        Args:
            inputs: dict as for a call, of streams that read nothing outside of it.

        Returns:
            Dict by stream of dicts: `keys` and `values` `(B, num_layers, T, N, H)`, `tokens` `(B, T, D)`, and
            `keep` `(B, T)` where the inputs had masks. Plain arrays: they can be stored, sliced and repeated.

        Raises:
            ValueError: if a stream reads one that is not among `inputs`.
        """
        return self.transformer.remember(StreamInputs.parse(inputs, self.streams))

    def join(self, inputs, memory):
        """Returns what a call with all streams would, computing only what is new.

        Args:
            inputs: dict as for a call, of the new streams.
            memory: result of `remember` for other streams, for the same number of examples or for one
                example, which then meets all of the new ones.
        """
        given = StreamInputs.parse(inputs, self.streams)
        if twice := sorted(set(memory) & set(given.arrays)):
            raise ValueError(f"A stream is either new or remembered. Received: both for {twice}")
        for name in memory:
            if unknown := sorted(self.routing.dependencies(name) & set(given.arrays)):
                raise ValueError(f"`{name}` reads {unknown}, so it cannot be remembered without them.")
        batch = ops.shape(next(iter(given.arrays.values())))[0]
        memory = tree.map_structure(lambda x: ops.broadcast_to(x, (batch, *x.shape[1:])), memory)
        return self.transformer.answer(given, memory)

    def dependents(self, stream):
        """Returns the names of the outputs that can change when the values of `stream` change."""
        return self.transformer.readout.dependents(stream)

    def resized(self, streams):
        """Returns a copy of the model for other stream shapes, its learned positions interpolated.

        Args:
            streams: dict of the same names to descriptions with the same patches.

        Raises:
            ValueError: for other names, or what is learned in LoRA weights.
        """
        if set(streams) != set(self.streams):
            raise ValueError(
                f"`streams` must have the names {list(self.streams)} of before. Received: {list(streams)}"
            )
        check_copyable(self)
        config = {**self.get_config(), "streams": dict(streams)}
        resized = type(self).from_config(config)
        for name, tokenizer in self.transformer.tokenizers.items():
            new = resized.transformer.tokenizers[name]
            new.embedding.set_weights(tokenizer.embedding.get_weights())
            new.positions.assign_resized(tokenizer.positions)
        tokenizers = {tokenizer.name for tokenizer in self.transformer.tokenizers.values()}
        for layer in self.layers:
            if layer.weights and layer.name not in tokenizers:
                resized.get_layer(layer.name).set_weights(layer.get_weights())
        copy_trainable(self, resized)
        return resized

    def get_config(self):
        return {
            **super().get_config(),
            "streams": streams_config(self.streams),
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "hidden_dim": self.hidden_dim,
            "mlp_dim": self.mlp_dim,
            "routing": self.routing.get_config(),
            "num_fusion_tokens": self.num_fusion_tokens,
            "readout_mlp": self.readout_mlp,
            "dropout_rate": self.dropout_rate,
            "stochastic_depth_rate": self.stochastic_depth_rate,
            "remat": self.remat,
            "dense_mask": self.dense_mask,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        streams = streams_of(config["streams"])
        return super().from_config(
            {**config, "streams": streams, "routing": Routing.from_config(config["routing"])}
        )
