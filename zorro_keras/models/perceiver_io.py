"""Perceiver IO: any inputs, through latents, to any outputs."""

import keras
import keras_hub

from zorro_keras.layers import ModalityJoin
from zorro_keras.models import perceiver_io_variants as variants
from zorro_keras.models.any_streams import AnyStreams
from zorro_keras.models.perceiver_parts import PerceiverParts
from zorro_keras.models.stream_inputs import StreamInputs


@keras.saving.register_keras_serializable("zorro_keras")
class PerceiverIOBackbone(AnyStreams, keras_hub.models.Backbone):
    """Inputs are read by latents, the latents think, and output queries read the latents.

    The four parts are layers that a user recombines freely; a part given to two models is shared by them, so
    a pretrained encoder goes on with new outputs by being passed on.

    Args:
        input_adapters: dict of input to `InputAdapter`. Several inputs are brought to one width and joined.
        encoder: `PerceiverEncoder`.
        output_adapters: dict of output to `OutputAdapter`. The queries of several outputs are brought to one
            width and answered together.
        decoder: `PerceiverDecoder`.
        input_padding: int, learned channels that even the widest of several inputs gets.
        query_padding: int, the same for the queries of several outputs.
        mask_rates: dict of input to the probability in [0, 1] that one of its elements is replaced by a
            learned mask vector in training. An input named here is shown as mask vectors where it is absent;
            others are then not read at all. `None` for none.
        seed: int, seed of the masks.

    Call arguments:
        inputs: dict of input to array `(B, *stream.shape)`, where sizes along the cut axes may differ from
            the stream's. A key that is missing or `None` leaves the input out. `inputs["presence"]` may map
            inputs to bool `(B,)`, True where the example has it; `inputs["padding_mask"]` inputs to bool
            `(B, M)`, True where the element is real.

    Returns:
        Dict of output to what its head makes of the answers; see `encode` and `decode` for the two halves.

    Raises:
        ValueError: for unknown inputs or wrong shapes.

    Example:

    ```python
    model = zk.models.PerceiverIOBackbone(
        input_adapters={
            "image": zk.layers.InputAdapter(
                zk.streams.Image(64, 64, patch=(4, 4)), positions=zk.layers.FourierPositions((16, 16), 32)
            )
        },
        encoder=zk.layers.PerceiverEncoder(num_latents=64, latent_dim=128, num_layers=4),
        output_adapters={
            "label": zk.layers.OutputAdapter(
                zk.layers.LearnedArray(1, 128), zk.layers.ClassificationHead(10)
            )
        },
        decoder=zk.layers.PerceiverDecoder(),
    )
    model({"image": images})  # {"label": (B, 10)}
    ```

    Reference:
        Perceiver IO, arXiv 2107.14795.
    """

    def __init__(
        self,
        input_adapters,
        encoder,
        output_adapters,
        decoder,
        input_padding=0,
        query_padding=2,
        mask_rates=None,
        seed=0,
        dtype=None,
        name="perceiver_io_backbone",
        **kwargs,
    ):
        input_adapters, output_adapters = dict(input_adapters), dict(output_adapters)
        if not input_adapters or not output_adapters:
            raise ValueError(
                "`input_adapters` and `output_adapters` must name at least one each. "
                f"Received: {list(input_adapters)} and {list(output_adapters)}"
            )
        # === Layers ===
        input_join = query_join = None
        if len(input_adapters) > 1:
            input_join = ModalityJoin(input_padding, mask_rates, seed, dtype=dtype, name="input_join")
        if len(output_adapters) > 1:
            query_join = ModalityJoin(query_padding, dtype=dtype, name="query_join")
        parts = PerceiverParts(input_adapters, encoder, output_adapters, decoder, input_join, query_join)

        # === Model ===
        inputs = {
            name: keras.Input(adapter.stream.shape, name=name, dtype=adapter.stream.dtype, optional=True)
            for name, adapter in input_adapters.items()
        }
        outputs = parts.answer(StreamInputs(inputs))
        super().__init__(inputs=inputs, outputs=outputs, dtype=dtype, name=name, **kwargs)

        # === Config ===
        self.parts = parts
        self.streams = {name: adapter.stream for name, adapter in input_adapters.items()}
        self.input_padding = input_padding
        self.query_padding = query_padding
        self.mask_rates = mask_rates
        self.seed = seed

    @classmethod
    def from_variant(cls, variant, semantics="deepmind", **overrides):
        """Builds a published model, heads included.

        Args:
            variant: name of a row of `zorro_keras.models.perceiver_io_variants`, such as "language".
            semantics: "deepmind" or "hugging_face": whose numbers to give where the two published
                implementations differ.
            **overrides: sizes to change, see the variant.
        """
        return cls(**variants.parts(variant, semantics, overrides))

    @property
    def encoder(self):
        """The `PerceiverEncoder`."""
        return self.parts.encoder

    @property
    def decoder(self):
        """The `PerceiverDecoder`."""
        return self.parts.decoder

    @property
    def input_adapters(self):
        """Dict of input to `InputAdapter`."""
        return self.parts.input_adapters

    @property
    def output_adapters(self):
        """Dict of output to `OutputAdapter`."""
        return self.parts.output_adapters

    def answer(self, inputs, training=None):
        """Returns the outputs for the inputs that are given: what a call runs."""
        return self.parts.answer(self._parse(inputs), training=training)

    def encode(self, inputs, training=None):
        """Returns the latents `(B, L, D)` of the given inputs: encode once, decode many times."""
        given = self._parse(inputs)
        return self.parts.encode(given, self.parts.elements(given, training), training)

    def decode(
        self, latents, outputs=None, rows=None, queries=None, query_mask=None, inputs=None, training=None
    ):
        """Returns what given latents answer.

        Args:
            latents: float tensor `(B, L, D)`, from `encode`.
            outputs: names of the outputs to compute; `None` for all.
            rows: dict of output to int tensor `(R,)`: flat indices of the queries to ask; `None` for all.
            queries: dict of output to float tensor `(B, O, E)`, to ask these instead of the output's own; see
                `FourierPositions.at` for positions of one's own.
            query_mask: dict of output to bool tensor `(B, O)`, False = reads nothing.
            inputs: dict as for a call, where an output is asked by the elements of an input.
            training: bool, whether dropouts act.

        Returns:
            Dict of output to what its head makes of the answers.
        """
        outputs = list(outputs or self.output_adapters)
        if unknown := sorted(set(outputs) - set(self.output_adapters)):
            raise ValueError(f"`outputs` may name {list(self.output_adapters)}. Received: unknown {unknown}")
        queries = dict(queries or {})
        own = [name for name in outputs if name not in queries]
        sources = {self.output_adapters[name].queries for name in own if self._asked_by_input(name)}
        elements = {}
        if sources and inputs is not None:
            elements = self.parts.elements(self._parse(inputs), training)
        if missing := sorted(sources - set(elements)):
            raise ValueError(f"`inputs` must hold {missing}, whose elements ask for outputs.")
        made = self.parts.queries(own, latents, elements, rows)
        asked = {name: {**made, **queries}[name] for name in outputs}
        return self.parts.decode(latents, asked, query_mask, training)

    def _asked_by_input(self, name):
        return isinstance(self.output_adapters[name].queries, str)

    def _parse(self, inputs):
        return StreamInputs.parse(inputs, self.streams, resizable=True)

    def get_config(self):
        return {
            **super().get_config(),
            "input_adapters": _serialize(self.input_adapters),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "output_adapters": _serialize(self.output_adapters),
            "decoder": keras.saving.serialize_keras_object(self.decoder),
            "input_padding": self.input_padding,
            "query_padding": self.query_padding,
            "mask_rates": self.mask_rates,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        parts = {part: _deserialize(config[part]) for part in ("input_adapters", "output_adapters")}
        for part in ("encoder", "decoder"):
            parts[part] = _deserialize({part: config[part]})[part]
        return super().from_config({**config, **parts})


def _serialize(layers):
    return {name: keras.saving.serialize_keras_object(layer) for name, layer in layers.items()}


def _deserialize(layers):
    return {
        name: keras.saving.deserialize_keras_object(layer) if isinstance(layer, dict) else layer
        for name, layer in layers.items()
    }
