"""A transformer over the entities of one input: what a Perceiver of units is compared with."""

import keras
import keras_hub

from zorro_keras.layers import InputAdapter, TransformerBlock
from zorro_keras.layers.block_stack import in_turn
from zorro_keras.models.any_streams import AnyStreams
from zorro_keras.models.stream_inputs import StreamInputs, check_stream_names


@keras.saving.register_keras_serializable("zorro_keras")
class EntityTransformerBackbone(AnyStreams, keras_hub.models.Backbone):
    """Entities read each other, layer by layer: its cost grows with the square of their number.

    Args:
        input_adapters: dict of one input to `InputAdapter`; the output has the input's name.
        num_layers: int, blocks.
        num_heads: int, heads of each.
        mlp_dim: int, channels inside the MLPs.
        activation: name or callable inside the MLPs.
        dropout_rate: float in [0, 1), probability to drop a channel of a branch's result.
        remat: bool, whether training recomputes each branch in the backward pass.
        seed: int, seed of the dropouts.
        dtype: dtype policy.

    Call arguments:
        inputs: dict with the input, `(B, *stream.shape)` or of another length, and optionally
            `inputs["padding_mask"]`, a dict of it to bool `(B, T)`, True where the entity is real: what is
            False is read by none and may hold anything.

    Returns:
        Dict of the input's name to tensor `(B, T, D)`.

    Raises:
        ValueError: if there is not one input, a size is not positive, or inputs do not fit.

    Reference:
        AlphaStar, doi 10.1038/s41586-019-1724-z, supplement: 3 layers of 2 heads of 128 over entities of 256,
        MLPs of 1024. Norms before the branches and one at the end are ours.
    """

    def __init__(
        self,
        input_adapters,
        num_layers=3,
        num_heads=2,
        mlp_dim=1024,
        activation="relu",
        dropout_rate=0.0,
        remat=False,
        seed=0,
        dtype=None,
        name="entity_transformer_backbone",
        **kwargs,
    ):
        input_adapters = dict(input_adapters)
        if len(input_adapters) != 1 or num_layers < 1:
            raise ValueError(
                "`input_adapters` must name one input, and `num_layers` be positive. "
                f"Received: {list(input_adapters)}, num_layers={num_layers}"
            )
        check_stream_names("input_adapters", input_adapters)
        # === Layers ===
        ((stream_name, adapter),) = input_adapters.items()
        policy = adapter.dtype_policy if dtype is None else keras.dtype_policies.get(dtype)
        blocks = [
            TransformerBlock(
                num_heads,
                mlp_dim,
                activation=activation,
                epsilon=1e-5,
                dropout_rate=dropout_rate,
                remat=remat,
                seed=seed + 4 * layer,
                dtype=policy,
                name=f"block_{layer}",
            )
            for layer in range(num_layers)
        ]
        norm = keras.layers.LayerNormalization(epsilon=1e-5, dtype=policy, name="norm")

        # === Model ===
        stream = adapter.stream
        inputs = {stream_name: keras.Input(stream.shape, name=stream_name, dtype=stream.dtype)}
        outputs = _answer(StreamInputs(inputs), adapter, blocks, norm)
        super().__init__(inputs=inputs, outputs=outputs, dtype=policy, name=name, **kwargs)

        # === Config ===
        self.input_adapters = input_adapters
        self.blocks = blocks
        self.norm = norm
        self.streams = {stream_name: stream}
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.mlp_dim = mlp_dim
        self.activation = keras.activations.get(activation)
        self.dropout_rate = dropout_rate
        self.remat = remat
        self.seed = seed

    def answer(self, inputs, training=None):
        """Returns what the entities have become: what a call runs."""
        given = StreamInputs.parse(inputs, self.streams, resizable=True)
        (adapter,) = self.input_adapters.values()
        return _answer(given, adapter, self.blocks, self.norm, training)

    def get_config(self):
        adapters = {name: keras.saving.serialize_keras_object(a) for name, a in self.input_adapters.items()}
        return {
            **super().get_config(),
            "input_adapters": adapters,
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "mlp_dim": self.mlp_dim,
            "activation": keras.activations.serialize(self.activation),
            "dropout_rate": self.dropout_rate,
            "remat": self.remat,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        adapters = {
            name: keras.saving.deserialize_keras_object(adapter) if isinstance(adapter, dict) else adapter
            for name, adapter in config["input_adapters"].items()
        }
        return super().from_config({**config, "input_adapters": adapters})


def _answer(given, adapter: InputAdapter, blocks, norm, training=None):
    ((name, array),) = given.arrays.items()
    if given.padding_mask:
        given.check_length(name, adapter.known_grid(array))
    keep = given.keep(name)
    tokens = adapter(array, keep=keep, coordinates=given.positions.get(name), training=training)
    mask = None if keep is None else keep[:, None]  # B 1 T
    tokens = in_turn(blocks, tokens, training=training, attention_mask=mask)
    return {name: norm(tokens)}
