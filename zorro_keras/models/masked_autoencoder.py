"""Masked auto-encoding with HiP: most elements are dropped, and must be told from the rest."""

import keras
from keras import ops

from zorro_keras.layers.groups import draw_places, split_groups
from zorro_keras.layers.patches import cut_patches, flatten_grid, join_patches
from zorro_keras.models.hip import HiPBackbone
from zorro_keras.models.stream_inputs import spread
from zorro_keras.streams import Tokens


@keras.saving.register_keras_serializable("zorro_keras")
class MaskedAutoencoder(keras.Model):
    """Trains a HiP to tell the elements that it was not shown: its learned positions need that to be of use.

    Each example has one random pattern of places, the same in all its groups. So every group keeps equally
    many places, of which some may be padding, and all shapes are known. The levels read what is shown alone;
    embedding, decoder and head still work on every element. The model has its loss in it,
    `compile(optimizer)` is enough; the backbone goes on without it, from `save_to_preset` as well.

    Args:
        backbone: `HiPBackbone` with decoder levels, of streams of floats, without labels.
        mask_rate: float in (0, 1), share of the places of a group that are dropped, rounded; at least one is
            dropped, and one kept.
        seed: int, seed of the patterns.

    Call arguments:
        inputs: dict as for the backbone.
        training: bool, whether patterns are drawn anew. Otherwise they are the same in each call, another for
            each row of a batch: figures compare, and measuring does not change what is drawn later.

    Returns:
        Dict of each stream to its reconstruction `(B, M, P)`, as the backbone gives it. The loss is the mean
        square of what it misses, over the elements of a stream that were dropped and are real, and then over
        the streams.

    Raises:
        ValueError: for a rate outside of (0, 1), a backbone that cannot reconstruct its streams, or groups of
            one element, of which none can be told from another.

    Reference:
        HiP, arXiv 2202.10890: 85 % of the positions, one pattern for all groups. The paper's loss is not
        known in detail; equal weights of the streams are our choice.
    """

    def __init__(self, backbone, mask_rate=0.85, seed=0, **kwargs):
        super().__init__(**kwargs)
        if not 0 < mask_rate < 1:
            raise ValueError(f"`mask_rate` must be in (0, 1). Received: mask_rate={mask_rate}")
        ids = any(isinstance(stream, Tokens) for stream in backbone.streams.values())
        if not backbone.decoder_levels or backbone.labels or ids:
            raise ValueError(
                "`backbone` must have `decoder_levels`, streams of floats, and no labels. Received: "
                f"decoder_levels={backbone.decoder_levels}, streams={backbone.streams}, "
                f"labels={backbone.labels}"
            )
        num_visible(backbone.parts.layout(backbone.streams).group_length, mask_rate)  # refuses single ones
        self.backbone = backbone
        self.mask_rate = mask_rate
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)
        self.built = True  # as the backbone is

    def call(self, inputs, training=None):
        outputs, hidden = self.reconstruct(inputs, training=training)
        self.add_loss(self.mean_missed(self.missed(inputs, outputs, hidden)))
        return outputs

    def reconstruct(self, inputs, training=None):
        """Hides places, and tells all elements from the others.

        Args:
            inputs, training: as for a call.

        Returns:
            Two dicts of stream: reconstruction `(B, M, P)`, and bool `(B, M)`, True where it was hidden.
        """
        parts, given = self.backbone.parts, self.backbone.parse(inputs)
        streams = parts.grouped(given.arrays)
        layout = parts.layout(streams)
        batch = ops.shape(next(iter(given.arrays.values())))[0]
        count = num_visible(layout.group_length, self.mask_rate)
        seed = self.generator if training else self.seed
        visible = draw_places(batch, layout.group_length, count, seed)  # B R
        levels = parts.encode(given, visible=visible, training=training)
        outputs = parts.decode(levels, streams, training)
        return {name: outputs[name] for name in streams}, hidden_elements(visible, layout)

    def missed(self, inputs, outputs, hidden):
        """Returns what reconstructions missed of the elements that were hidden and are real.

        Args:
            inputs: dict as for a call.
            outputs, hidden: dicts as `reconstruct` returns them.

        Returns:
            Dict of each given stream to two float tensors `(B,)`: the mean square error of an example, 0
            without such elements, and how many they are.
        """
        given, missed = self.backbone.parse(inputs), {}
        for name in hidden:
            if name not in given.arrays:
                continue
            patches = flatten_grid(cut_patches(given.arrays[name], self.backbone.streams[name].patch))
            counted = spread(given.keep(name), patches, patches.shape[1])
            counted = ops.logical_and(counted, hidden[name])  # B M
            # What is not real may be NaN, which times zero stays: it is replaced.
            target = ops.where(counted[..., None], ops.cast(patches, "float32"), 0.0)
            error = ops.mean(ops.square(ops.cast(outputs[name], "float32") - target), axis=-1)
            total = ops.sum(ops.where(counted, error, 0.0), axis=-1)
            count = ops.sum(ops.cast(counted, "float32"), axis=-1)
            missed[name] = (total / ops.maximum(count, 1.0), count)
        return missed

    @staticmethod
    def mean_missed(missed):
        """Returns the loss, a scalar, of what `missed` returns: the mean over streams of the mean of each."""
        means = [
            ops.sum(error * count) / ops.maximum(ops.sum(count), 1.0) for error, count in missed.values()
        ]
        return sum(means) / len(means)

    def as_arrays(self, elements):
        """Returns elements `(B, M, P)`, a dict by stream, as arrays of its shape, `(B, *stream.shape)`."""
        arrays = {}
        for name, patches in elements.items():
            stream = self.backbone.streams[name]
            patches = ops.reshape(patches, (-1, *stream.grid, patches.shape[-1]))
            arrays[name] = ops.reshape(join_patches(patches, stream.patch), (-1, *stream.shape))
        return arrays

    def save_to_preset(self, preset_dir):
        """Writes the backbone into a folder, from which `HiPBackbone.from_preset` goes on."""
        self.backbone.save_to_preset(preset_dir)

    def get_config(self):
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "mask_rate": self.mask_rate,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        backbone = config["backbone"]
        if not isinstance(backbone, HiPBackbone):
            backbone = keras.saving.deserialize_keras_object(backbone)
        return cls(**{**config, "backbone": backbone})


def num_visible(group_length, mask_rate):
    """Returns how many places of a group are shown: at least one, and at least one is not.

    Raises:
        ValueError: for a group of one place.
    """
    if group_length < 2:
        raise ValueError(
            "`mask_rate` must leave elements to read and elements to tell, which takes groups of two at "
            f"least. Received: mask_rate={mask_rate} with groups of length {group_length}"
        )
    return min(max(1, round(group_length * (1 - mask_rate))), group_length - 1)


def hidden_elements(visible, layout):
    """Returns by stream bool `(B, M)`, True for what stands in none of the visible places `(B, R)`."""
    batch, length = ops.shape(visible)[0], layout.group_length
    # No one-hot `(B, R, N)`: of groups of 33,000 places it would be 0.7 GB an example.
    places = length * ops.arange(batch, dtype="int32")[:, None] + ops.cast(visible, "int32")
    places = ops.reshape(places, (-1, 1))  # B*R 1
    hidden = ops.scatter_update(ops.ones((batch * length,), "int32"), places, ops.zeros_like(places[:, 0]))
    shape = (batch, layout.num_groups, length)
    groups = ops.broadcast_to(ops.reshape(hidden, (-1, 1, length)), shape)[..., None]  # B G N 1
    return {name: array[..., 0] == 1 for name, array in split_groups(groups, layout).items()}
