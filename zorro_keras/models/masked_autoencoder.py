"""Masked auto-encoding with HiP: most elements are dropped, and must be told from the rest."""

import keras
from keras import ops

from zorro_keras.layers.groups import draw_places, split_groups
from zorro_keras.layers.patches import cut_patches, flatten_grid
from zorro_keras.models.hip import HiPBackbone
from zorro_keras.models.stream_inputs import spread
from zorro_keras.streams import Tokens


@keras.saving.register_keras_serializable("zorro_keras")
class MaskedAutoencoder(keras.Model):
    """Trains a HiP to tell the elements that it was not shown: its learned positions need that to be of use.

    Each example has one random pattern of places, the same in all its groups. So every group keeps equally
    many elements, and the others are dropped: they cost nothing, and all shapes are known. The model has its
    loss in it, `compile(optimizer)` is enough; the backbone goes on without it.

    Args:
        backbone: `HiPBackbone` with decoder levels, of streams of floats, without labels.
        mask_rate: float in (0, 1), share of the places of a group that are dropped.
        seed: int, seed of the patterns.

    Call arguments:
        inputs: dict as for the backbone. Patterns are drawn in evaluation too, so that its loss compares.

    Returns:
        Dict of each stream to its reconstruction `(B, M, P)`, as the backbone gives it. The loss is the mean
        square of what it misses, over the elements of a stream that were dropped and are real, and then over
        the streams.

    Raises:
        ValueError: for a rate outside of (0, 1), or a backbone that cannot reconstruct its streams.

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
        self.backbone = backbone
        self.mask_rate = mask_rate
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def build(self, inputs_shape=None):
        self.built = True  # the backbone is, from the start

    def call(self, inputs, training=None):
        parts, given = self.backbone.parts, self.backbone.parse(inputs)
        streams = parts.grouped(given.arrays)
        layout = parts.layout(streams)
        batch = ops.shape(next(iter(given.arrays.values())))[0]
        count = max(1, round(layout.group_length * (1 - self.mask_rate)))
        visible = draw_places(batch, layout.group_length, count, self.generator)  # B R
        levels = parts.encode(given, visible=visible, training=training)
        outputs = parts.decode(levels, streams, training)
        hidden = hidden_elements(visible, layout)
        self.add_loss(self._missed(given, outputs, hidden))
        return {name: outputs[name] for name in streams}

    def _missed(self, given, outputs, hidden):
        """Returns the mean square error over hidden elements of the given streams."""
        errors = []
        for name in hidden:
            if name not in given.arrays:
                continue
            patches = flatten_grid(cut_patches(given.arrays[name], self.backbone.streams[name].patch))
            counted = spread(given.keep(name), patches, patches.shape[1])
            counted = ops.logical_and(counted, hidden[name])  # B M
            # What is not real may be NaN, which times zero stays: it is replaced.
            target = ops.where(counted[..., None], ops.cast(patches, "float32"), 0.0)
            error = ops.mean(ops.square(ops.cast(outputs[name], "float32") - target), axis=-1)
            total = ops.sum(ops.where(counted, error, 0.0))
            errors.append(total / ops.maximum(ops.sum(ops.cast(counted, "float32")), 1.0))
        return sum(errors) / len(errors)

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


def hidden_elements(visible, layout):
    """Returns by stream bool `(B, M)`, True for what stands in none of the visible places `(B, R)`."""
    shown = ops.sum(ops.one_hot(visible, layout.group_length, dtype="int32"), axis=1)  # B N
    shape = (ops.shape(visible)[0], layout.num_groups, layout.group_length)
    groups = ops.broadcast_to(shown[:, None], shape)[..., None]  # B G N 1
    return {name: array[..., 0] == 0 for name, array in split_groups(groups, layout).items()}
