"""Perceiver IO: any inputs, through latents, to any outputs."""

import keras
import keras_hub

from zorro_keras.layers import ModalityJoin
from zorro_keras.models import perceiver_io_variants as variants
from zorro_keras.models.any_streams import AnyStreams
from zorro_keras.models.perceiver_config import parts_config, parts_from_config, set_dtype
from zorro_keras.models.perceiver_parts import PerceiverParts, check_joins, check_parts
from zorro_keras.models.stream_inputs import StreamInputs, check_stream_names
from zorro_keras.models.unknown_names import check_names


@keras.saving.register_keras_serializable("zorro_keras")
class PerceiverIOBackbone(AnyStreams, keras_hub.models.Backbone):
    """Inputs are read by latents, the latents think, and output queries read the latents.

    The four parts are layers that a user recombines freely; a part given to two models is shared by them, so
    a pretrained encoder goes on with new outputs by being passed on, and with several inputs their
    `input_join`, which has learned vectors as well. A layer in two places of one model is shared by them too,
    also after saving.

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
        input_join: `ModalityJoin` of another model of the same inputs, its `input_join`, to go on with, in
            place of `input_padding`, `mask_rates` and `seed`, which it has; `None` for a new one.
        query_join: the same for the queries of the same outputs, in place of `query_padding`.
        dtype: dtype policy of every part, none of which may be built yet in another one; `None` leaves each
            its own.

    Call arguments:
        inputs: dict of input to array `(B, *stream.shape)`, where sizes along the cut axes may differ from
            the stream's. A key that is missing or `None` leaves the input out. `inputs["presence"]` may map
            inputs to bool `(B,)`, True where the example has it; `inputs["padding_mask"]` inputs to bool
            `(B, M)`, True where the element is real; `inputs["positions"]` inputs to float `(B, M, axes)`
            in [-1, 1], where the elements lie if not on the grid.

    Returns:
        Dict of output to what its head makes of the answers; see `encode` and `decode` for the two halves.

    Raises:
        ValueError: for parts that do not fit together, unknown inputs or wrong shapes.

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
        input_join=None,
        query_join=None,
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
        check_stream_names("input_adapters", input_adapters)
        # === Layers ===
        check_parts(input_adapters, output_adapters)
        check_names("mask_rates", mask_rates or (), input_adapters)
        layers = [*input_adapters.values(), encoder, decoder]
        layers += [part for adapter in output_adapters.values() for part in adapter.layers]
        layers += [join for join in (input_join, query_join) if join is not None]
        if dtype is not None:
            set_dtype(layers, dtype)
        dtype = encoder.dtype_policy if dtype is None else dtype
        if input_join is not None:
            input_padding, mask_rates = input_join.min_padding, dict(input_join.mask_rates) or None
            seed = input_join.seed
        elif len(input_adapters) > 1 or mask_rates:
            input_join = ModalityJoin(input_padding, mask_rates, seed, dtype=dtype, name="input_join")
        if query_join is not None:
            query_padding = query_join.min_padding
        elif len(output_adapters) > 1:
            query_join = ModalityJoin(query_padding, dtype=dtype, name="query_join")
        parts = PerceiverParts(input_adapters, encoder, output_adapters, decoder, input_join, query_join)

        # === Model ===
        inputs = {
            name: keras.Input(adapter.stream.shape, name=name, dtype=adapter.stream.dtype, optional=True)
            for name, adapter in input_adapters.items()
        }
        outputs = parts.answer(StreamInputs(inputs))
        check_joins(parts)
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
            **overrides: sizes to change, see the variant; and `dtype`, the policy of all parts.

        Raises:
            ValueError: for an unknown variant, semantics or size, naming the nearest.
        """
        dtype = overrides.pop("dtype", None)
        return cls(**variants.parts(variant, semantics, overrides), dtype=dtype)

    @property
    def encoder(self):
        """The `PerceiverEncoder`."""
        return self.parts.encoder

    @property
    def decoder(self):
        """The `PerceiverDecoder`."""
        return self.parts.decoder

    @property
    def input_join(self):
        """The `ModalityJoin` of the inputs; `None` for a single one that is never masked."""
        return self.parts.input_join

    @property
    def query_join(self):
        """The `ModalityJoin` of the queries; `None` for a single output."""
        return self.parts.query_join

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

    def compute_output_spec(self, inputs, training=None):
        arrays = {name: x for name, x in inputs.items() if isinstance(x, keras.KerasTensor)}
        if None not in [size for x in arrays.values() for size in x.shape[1:]]:
            return super().compute_output_spec(inputs, training=training)
        # Sizes that are not known yet: the layers say what they make of them, no array is tried.
        check_names("inputs", inputs, self.streams)
        specs = self.parts.answer(StreamInputs(arrays))
        return {name: keras.KerasTensor(spec.shape, spec.dtype) for name, spec in specs.items()}

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
            rows: dict of output to int tensor `(R,)`, flat indices of the queries to ask, or `(B, R)`, for
                each example its own; `None` for all.
            queries: dict of output to float tensor `(B, O, E)`, to ask these instead of the output's own; see
                `FourierPositions.at` for positions of one's own.
            query_mask: dict of output to bool tensor `(B, O)`, False = reads nothing. By default elements of
                `inputs` that are hidden there ask for nothing.
            inputs: dict as for a call, where an output is asked by the elements of an input.
            training: bool, whether dropouts act.

        Returns:
            Dict of output to what its head makes of the answers.

        Raises:
            ValueError: for names that are no output's, a mask that is not bool, or missing `inputs`.
        """
        outputs = outputs or list(self.output_adapters)
        asked = {"outputs": outputs, "rows": rows, "queries": queries, "query_mask": query_mask}
        for argument, names in asked.items():
            check_names(argument, names or (), self.output_adapters)
        outputs, queries = list(outputs), dict(queries or {})
        own = [name for name in outputs if name not in queries]
        sources = {self.output_adapters[name].queries for name in own if self._asked_by_input(name)}
        elements, pictures = {}, {}
        if sources and inputs is not None:
            given = self._parse(inputs)
            elements = self.parts.elements(given, training)
            pictures = self.parts.pictures(own, given)
            query_mask = {**self.parts.query_mask(own, given, rows, pictures), **(query_mask or {})}
        if missing := sorted(sources - set(elements)):
            raise ValueError(f"`inputs` must hold {missing}, whose elements ask for outputs.")
        queries |= self.parts.queries(own, latents, elements, rows, pictures)
        queries = {name: queries[name] for name in outputs}
        pictures = {name: picture for name, picture in pictures.items() if name not in (rows or {})}
        return self.parts.decode(latents, queries, query_mask, pictures, training)

    def _asked_by_input(self, name):
        return isinstance(self.output_adapters[name].queries, str)

    def _parse(self, inputs):
        return StreamInputs.parse(inputs, self.streams, resizable=True)

    def get_config(self):
        config = super().get_config()
        # The parts know their dtypes. Without a word of it here `from_preset(dtype=...)` can give another.
        del config["dtype"]
        # Which layers inside of them are quantized they do not know.
        quantized = {layer.path: layer.quantization_mode for layer in self._flatten_layers()}
        if quantized := {path: mode for path, mode in quantized.items() if mode}:
            config["quantized"] = quantized
        return {
            **config,
            **parts_config(self.parts),
            # What a join is made of; its weights are saved with the others.
            "input_padding": self.input_padding,
            "query_padding": self.query_padding,
            "mask_rates": self.mask_rates,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        dtype, quantized = config.pop("dtype", None), config.pop("quantized", {})
        if isinstance(dtype, dict):
            dtype = keras.saving.deserialize_keras_object(dtype)
        model = cls(**{**config, **parts_from_config(config, dtype)})
        for mode in set(quantized.values()):
            model.quantize(mode, filters=lambda layer, mode=mode: _awaits(layer, quantized, mode))
        return model


def _awaits(layer, quantized, mode):
    """Returns whether a layer is still to be quantized: a part that is one itself comes back so."""
    return layer.quantization_mode is None and quantized.get(layer.path) == mode
