"""Zorro on Swin: a trunk for each stream, and fusion tokens that read them all."""

import keras
import keras_hub

from zorro_keras.layers import Readout
from zorro_keras.models.any_streams import AnyStreams
from zorro_keras.models.described_streams import streams_config, streams_of
from zorro_keras.models.routed_readout import RoutedReadout, check_routed
from zorro_keras.models.routed_swin import FusionTrunk, RoutedSwin, check_apart
from zorro_keras.models.stream_inputs import StreamInputs
from zorro_keras.models.swin import WINDOWS, sizes_for
from zorro_keras.models.swin_trunk import SwinTrunk, check_stages
from zorro_keras.routing import Routing
from zorro_keras.streams import Spectrogram

# Windows that divide the grids of a spectrogram of 640 x 128 in patches of 4 x 4 in every stage.
SPECTROGRAM_WINDOW = (10, 8)


@keras.saving.register_keras_serializable("zorro_keras")
class ZorroSwinBackbone(AnyStreams, keras_hub.models.Backbone):
    """A Swin for each stream, of one size but with weights of their own, joined by fusion tokens.

    After each block, or each stage, the fusion tokens read the tokens of all streams and their own; nothing
    reads them. So each stream's output is the same whatever the others hold, and the model answers to any
    subset of its streams. Learned queries read the result out.

    Args:
        streams: dict of name to description, see `zorro_keras.streams`: `Image`, `Spectrogram` or `Video`,
            whose patches begin the trunks: 4 x 4, or 2 x 4 x 4 of clips, as published.
        num_layers: sequence of int, blocks of each stage.
        num_heads: sequence of int, heads of each stage; must divide its channels.
        hidden_dim: int, C, channels of the first stage; each stage doubles them.
        windows: dict of stream to the largest window along each axis of its grid; those left out have 10 x 8
            for spectrograms, 7 x 7 for pictures, 8 x 7 x 7 for clips.
        mlp_ratio: int, channels inside an MLP by those outside.
        routing: `Routing` over the streams, each of which reads itself alone, and any learned streams such as
            `fusion`; `None` for `Routing.zorro(streams)`.
        num_fusion_tokens: int, tokens of each learned stream: one that the routing has and `streams` has not.
        fusion_every: "block" or "stage": when the learned streams read.
        stochastic_depth_rate: float in [0, 1), probability to skip a branch of the last block; it grows
            linearly from 0 at the first.
        remat: bool, whether training recomputes each branch in the backward pass to save memory.
        seed: int, seed of all dropouts.

    Call arguments:
        inputs: dict of stream to array `(B, *stream.shape)`. A key that is missing or `None` leaves the
            stream out. `inputs["presence"]` may map streams to bool `(B,)`, True where the example has it.

    Returns:
        Dict of float tensors `(B, D)`, D = C * 2 ** (stages - 1): one for each stream that was given or is
        learned, and `global`, which reads them all. Where an example lacks a stream, the stream's own output
        is zero.

    Raises:
        ValueError: for unknown streams, wrong shapes, a routing or windows that do not fit the streams, and
            for padding masks: merging would mix what is real with what is not.

    Example:

    ```python
    streams = {
        "audio": zk.streams.Spectrogram(640, 128, patch=(4, 4)),
        "video": zk.streams.Video(8, 224, 224, patch=(2, 4, 4)),
    }
    backbone = zk.models.ZorroSwinBackbone.from_variant("tiny", streams)
    backbone({"audio": mel, "video": clip})  # {"audio", "video", "fusion", "global"}: (B, 768)
    ```

    Reference:
        Zorro, arXiv 2301.09595, applies its masks to Swin, arXiv 2103.14030, and leaves the details open:
        a joint softmax over all that fusion reads, the width that grows with the trunks', a norm of their own
        for each source and 16 fusion tokens are our choice.
    """

    def __init__(
        self,
        streams,
        num_layers,
        num_heads,
        hidden_dim,
        windows=None,
        mlp_ratio=4,
        routing=None,
        num_fusion_tokens=16,
        fusion_every="block",
        stochastic_depth_rate=0.0,
        remat=False,
        seed=0,
        dtype=None,
        name="zorro_swin_backbone",
        **kwargs,
    ):
        streams = dict(streams)
        routing = Routing.zorro(streams) if routing is None else routing
        check_routed(streams, routing, num_fusion_tokens)
        check_apart(routing, streams)
        _check(streams, num_layers, num_heads, hidden_dim, mlp_ratio, fusion_every)
        windows = _windows(streams, windows)

        # === Layers ===
        sizes = (num_layers, num_heads, hidden_dim, mlp_ratio)
        trunks = {
            stream: SwinTrunk(
                streams[stream],
                *sizes,
                stochastic_depth_rate,
                # Four seeds of each block; another trunk's begin after all of them.
                seed + 4 * place * sum(num_layers),
                dtype,
                prefix=f"{stream}_",
                window=windows[stream],
                remat=remat,
            )
            for place, stream in enumerate(streams)
        }
        fusion = FusionTrunk(
            routing,
            [stream for stream in routing if stream not in streams],
            num_fusion_tokens,
            *sizes,
            every_block=fusion_every == "block",
            stochastic_depth_rate=stochastic_depth_rate,
            seed=seed + 4 * len(streams) * sum(num_layers),
            dtype=dtype,
            remat=remat,
        )
        readout = Readout([*routing, "global"], num_heads[-1], dtype=dtype, name="readout")
        pack = keras.layers.Concatenate(axis=1, dtype=dtype, name="pack")
        swin = RoutedSwin(trunks, fusion, pack, RoutedReadout(readout, routing))

        # === Model ===
        inputs = {
            stream: keras.Input(about.shape, name=stream, dtype=about.dtype, optional=True)
            for stream, about in streams.items()
        }
        outputs = swin.answer(StreamInputs(inputs))
        super().__init__(inputs=inputs, outputs=outputs, dtype=dtype, name=name, **kwargs)

        # === Config ===
        self.swin = swin
        self.streams = streams
        self.num_layers = tuple(num_layers)
        self.num_heads = tuple(num_heads)
        self.hidden_dim = hidden_dim
        self.windows = windows
        self.mlp_ratio = mlp_ratio
        self.routing = routing
        self.num_fusion_tokens = num_fusion_tokens
        self.fusion_every = fusion_every
        self.stochastic_depth_rate = stochastic_depth_rate
        self.remat = remat
        self.seed = seed

    @classmethod
    def from_variant(cls, variant, streams, **overrides):
        """Builds trunks of a published Swin: "tiny", "small", "base" or "large"; other arguments override it.

        Published trunks cut pictures and spectrograms into patches of 4 x 4, clips into 2 x 4 x 4; other
        patches need sizes of your own. Video Swin was trained with a `stochastic_depth_rate` of 0.1, the base
        size with 0.3.

        Raises:
            ValueError: for an unknown name, and for other patches with the sizes as published.
        """
        return cls(streams, **sizes_for(variant, streams, overrides))

    def answer(self, inputs, training=None):
        """Returns the outputs for the streams that `inputs` holds: what a call runs."""
        given = StreamInputs.parse(inputs, self.streams)
        if given.padding_mask:
            raise ValueError(
                "A Swin reads whole grids; leave `padding_mask` out and fill up what is missing. "
                f"Received: padding masks of {list(given.padding_mask)}"
            )
        return self.swin.answer(given, training=training)

    def dependents(self, stream):
        """Returns the names of the outputs that can change when the values of `stream` change."""
        return self.swin.readout.dependents(stream)

    def get_config(self):
        return {
            **super().get_config(),
            "streams": streams_config(self.streams),
            "num_layers": list(self.num_layers),
            "num_heads": list(self.num_heads),
            "hidden_dim": self.hidden_dim,
            "windows": {name: list(window) for name, window in self.windows.items()},
            "mlp_ratio": self.mlp_ratio,
            "routing": self.routing.get_config(),
            "num_fusion_tokens": self.num_fusion_tokens,
            "fusion_every": self.fusion_every,
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


def _windows(streams, windows):
    """Returns the window of each stream."""
    found = {}
    for name, stream in streams.items():
        default = SPECTROGRAM_WINDOW if isinstance(stream, Spectrogram) else WINDOWS[len(stream.patch)]
        found[name] = tuple((windows or {}).get(name) or default)
    unknown = sorted(set(windows or {}) - set(streams))
    if unknown or any(len(found[name]) != len(stream.patch) for name, stream in streams.items()):
        raise ValueError(
            f"`windows` must give streams of {list(streams)} a size for each cut axis. "
            f"Received: windows={windows}"
        )
    return found


def _check(streams, num_layers, num_heads, hidden_dim, mlp_ratio, fusion_every):
    for name, stream in streams.items():
        if len(stream.patch) not in WINDOWS:
            raise ValueError(f"Stream `{name}` must be cut along two or three axes. Received: {stream}")
    check_stages(num_layers, num_heads, hidden_dim, mlp_ratio)
    if fusion_every not in ("block", "stage"):
        raise ValueError(
            f'`fusion_every` must be "block" or "stage". Received: fusion_every={fusion_every!r}'
        )
