"""Swin and Video Swin: a grid read window by window, coarser stage by stage."""

import keras
import keras_hub
from keras import ops

from zorro_keras.models.any_streams import AnyStreams
from zorro_keras.models.described_streams import streams_config, streams_of
from zorro_keras.models.named_sizes import sizes_of
from zorro_keras.models.stream_inputs import StreamInputs, check_stream_names
from zorro_keras.models.swin_trunk import SwinTrunk, check_stages

# Swin, arXiv 2103.14030, section 3.3; Video Swin, arXiv 2106.13230, section 3.3, has the same.
VARIANTS = {
    "tiny": {"num_layers": (2, 2, 6, 2), "num_heads": (3, 6, 12, 24), "hidden_dim": 96},
    "small": {"num_layers": (2, 2, 18, 2), "num_heads": (3, 6, 12, 24), "hidden_dim": 96},
    "base": {"num_layers": (2, 2, 18, 2), "num_heads": (4, 8, 16, 32), "hidden_dim": 128},
    "large": {"num_layers": (2, 2, 18, 2), "num_heads": (6, 12, 24, 48), "hidden_dim": 192},
}
# By the axes of the grid: of pictures as in arXiv 2103.14030, section 3.3, of clips as in arXiv 2106.13230.
WINDOWS = {2: (7, 7), 3: (8, 7, 7)}
PATCHES = {2: (4, 4), 3: (2, 4, 4)}


@keras.saving.register_keras_serializable("zorro_keras")
class SwinBackbone(AnyStreams, keras_hub.models.Backbone):
    """A transformer whose tokens read the window around them, on grids of two axes or three.

    Every other block's windows lie half a window further. Between stages 2 x 2 neighbours are merged along
    the last two axes; a first of three, time, keeps its size. Windows are smaller where the grid is, each
    axis by itself, and the grid is filled up where they do not divide it: any size can be read, also another
    than the stream's, with the same weights.

    Args:
        streams: dict of one name to description, see `zorro_keras.streams`: an `Image`, a `Video` or a
            `Spectrogram`. The published models cut pictures into patches of 4 x 4, clips of 2 x 4 x 4.
        num_layers: sequence of int, blocks of each stage.
        num_heads: sequence of int, heads of each stage; must divide its channels.
        hidden_dim: int, C, channels of the first stage; each stage doubles them.
        window: sequence of int, the largest window along each axis of the grid; `None` for 7 x 7, and 8 x 7 x
            7 of three axes.
        mlp_ratio: int, channels inside an MLP by those outside.
        stochastic_depth_rate: float in [0, 1), probability to skip a branch of the last block; it grows
            linearly from 0 at the first.
        remat: bool, whether training recomputes each branch in the backward pass to save memory.
        read_padding: bool, whether what fills up a grid is read, as in the official code of video; it makes
            no difference where windows divide the grids.
        slice_index: bool, whether windows smaller than `window` along a later axis take the offsets that they
            have in the official code; they are not their own.
        seed: int, seed of the dropouts.

    Call arguments:
        inputs: dict of the stream to array `(B, *stream.shape)`, where sizes along the cut axes may differ
            from the stream's, but are known.

    Returns:
        Dict of float tensors: `grid` `(B, *grid, D)`, normalised, and `pooled` `(B, D)`, its mean, where D is
        C * 2 ** (stages - 1).

    Raises:
        ValueError: for other than one stream, of two or three cut axes, for stages or windows that do not fit
            together, and for inputs that do not fit.

    Example:

    ```python
    streams = {"image": zk.streams.Image(224, 224, patch=(4, 4))}
    backbone = zk.models.SwinBackbone.from_variant("tiny", streams)
    backbone({"image": images})  # {"grid": (B, 7, 7, 768), "pooled": (B, 768)}
    ```

    Reference:
        Swin, arXiv 2103.14030; Video Swin, arXiv 2106.13230.
    """

    def __init__(
        self,
        streams,
        num_layers,
        num_heads,
        hidden_dim,
        window=None,
        mlp_ratio=4,
        stochastic_depth_rate=0.0,
        remat=False,
        read_padding=False,
        slice_index=False,
        seed=0,
        dtype=None,
        name="swin_backbone",
        **kwargs,
    ):
        streams = dict(streams)
        check_stream_names("streams", streams)
        stream_name, stream = _only(streams)
        window = WINDOWS[len(stream.patch)] if window is None else tuple(window)
        check_stages(num_layers, num_heads, hidden_dim, mlp_ratio)
        _check(stream, window)

        # === Layers ===
        trunk = SwinTrunk(
            stream,
            num_layers,
            num_heads,
            hidden_dim,
            mlp_ratio,
            stochastic_depth_rate,
            seed,
            dtype,
            window=window,
            remat=remat,
            read_padding=read_padding,
            slice_index=slice_index,
        )

        # === Model ===
        inputs = {stream_name: keras.Input(stream.shape, name=stream_name, dtype=stream.dtype)}
        outputs = _outputs(trunk(inputs[stream_name]))
        super().__init__(inputs=inputs, outputs=outputs, dtype=dtype, name=name, **kwargs)

        # === Config ===
        self.trunk = trunk
        self.streams = streams
        self.num_layers = tuple(num_layers)
        self.num_heads = tuple(num_heads)
        self.hidden_dim = hidden_dim
        self.window = window
        self.mlp_ratio = mlp_ratio
        self.stochastic_depth_rate = stochastic_depth_rate
        self.remat = remat
        self.read_padding = read_padding
        self.slice_index = slice_index
        self.seed = seed

    @classmethod
    def from_variant(cls, variant, streams, **overrides):
        """Builds a published size: "tiny", "small", "base" or "large"; keyword arguments override it.

        A published size cuts pictures and spectrograms into patches of 4 x 4, clips into 2 x 4 x 4. Other
        patches need sizes of your own, given here or to the constructor.

        Raises:
            ValueError: for an unknown name, and for other patches with the sizes as published.
        """
        return cls(streams, **sizes_for(variant, streams, overrides))

    def answer(self, inputs, training=None):
        """Returns the outputs for the stream: what a call runs."""
        given = StreamInputs.parse(inputs, self.streams, resizable=True)
        if given.presence or given.padding_mask or given.positions:
            raise ValueError(
                f"A Swin reads whole grids, without masks or positions. Received: {list(inputs)}"
            )
        ((name, x),) = given.arrays.items()
        expected, cut = self.streams[name].shape, len(self.streams[name].patch)
        if len(x.shape) != len(expected) + 1 or tuple(x.shape[cut + 1 :]) != tuple(expected[cut:]):
            raise ValueError(
                f"Stream `{name}` must have {len(expected)} axes after the batch, and beyond the first {cut} "
                f"of them the sizes {tuple(expected[cut:])}. Received: {tuple(x.shape)}"
            )
        return _outputs(self.trunk(x, training=training))

    def get_config(self):
        return {
            **super().get_config(),
            "streams": streams_config(self.streams),
            "num_layers": list(self.num_layers),
            "num_heads": list(self.num_heads),
            "hidden_dim": self.hidden_dim,
            "window": list(self.window),
            "mlp_ratio": self.mlp_ratio,
            "stochastic_depth_rate": self.stochastic_depth_rate,
            "remat": self.remat,
            "read_padding": self.read_padding,
            "slice_index": self.slice_index,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        streams = streams_of(config["streams"])
        return super().from_config({**config, "streams": streams})


def sizes_for(variant, streams, overrides):
    """Returns the arguments of a named size with its overrides.

    The descriptions of streams cut into 16 x 16 where nothing else is asked for: in a Swin, whose last stage
    has an eighth of its rows and columns, that would leave almost nothing, and no error would tell.

    Raises:
        ValueError: for an unknown name, and for a stream of other than the published patch where no size is
            overridden.
    """
    sizes = sizes_of(variant, VARIANTS)
    for name, stream in streams.items():
        patch = tuple(getattr(stream, "patch", ()))
        if len(patch) in PATCHES and patch != PATCHES[len(patch)] and not set(sizes) & set(overrides):
            raise ValueError(
                f"The patch of stream `{name}` must be the published {PATCHES[len(patch)]} for the size "
                f"{variant!r}; for another, give {', '.join(f'`{size}`' for size in sizes)} yourself. "
                f"Received: patch={patch}"
            )
    return {**sizes, **overrides}


def _outputs(grid):
    return {"grid": grid, "pooled": ops.mean(grid, axis=tuple(range(1, len(grid.shape) - 1)))}


def _only(streams):
    """Returns the one stream's name and description."""
    patches = [getattr(stream, "patch", ()) for stream in streams.values()]
    if [len(patch) in WINDOWS for patch in patches] != [True]:
        raise ValueError(
            f"`streams` must name one stream that is cut along two or three axes. Received: {streams}"
        )
    return next(iter(streams.items()))


def _check(stream, window):
    if len(window) != len(stream.patch):
        raise ValueError(
            f"`window` must have a size for each of the {len(stream.patch)} cut axes. "
            f"Received: window={window}"
        )
