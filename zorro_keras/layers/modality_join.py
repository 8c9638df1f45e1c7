"""One sequence out of several modalities of different widths."""

import keras
from keras import ops

from zorro_keras.layers.initializers import learned_array


@keras.saving.register_keras_serializable("zorro_keras")
class ModalityJoin(keras.layers.Layer):
    """Pads each modality with a learned vector to one width and joins them, in the order of their names.

    The padding also tells the modalities apart. Elements can be replaced by a learned mask vector, at random
    in training or where the caller says so: the model learns to do without them.

    Args:
        min_padding: int, learned channels that even the widest modality gets.
        mask_rates: dict of modality to the probability in [0, 1] that an element is masked in training; those
            it names can be masked. `None` for none.
        seed: int, seed of the masks.

    Call arguments:
        elements: dict of modality to float tensor `(B, T, C)`.
        masked: dict of modality to bool tensor `(B, T)` or `(B, 1)`, True = show the mask vector instead.

    Returns:
        Tensor `(B, sum of T, dim)`, dim = the largest C + `min_padding`.

    Reference:
        Perceiver IO, arXiv 2107.14795, appendices on multimodal autoencoding and AudioSet.
    """

    def __init__(self, min_padding=0, mask_rates=None, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.min_padding = min_padding
        self.mask_rates = dict(mask_rates or {})
        self.seed = seed

    def build(self, elements_shape):
        channels = {name: shape[-1] for name, shape in elements_shape.items()}
        self.dim = max(channels.values()) + self.min_padding
        if unknown := sorted(set(self.mask_rates) - set(channels)):
            raise ValueError(f"`mask_rates` may name {sorted(channels)}. Received: unknown {unknown}")
        self.paddings = {
            name: self._vector(f"{name}_padding", self.dim - channels[name])
            for name in sorted(channels)
            if channels[name] < self.dim
        }
        self.mask_vectors = {name: self._vector(f"{name}_mask", self.dim) for name in sorted(self.mask_rates)}
        self.seed_generators = {
            name: keras.random.SeedGenerator(self.seed + place)
            for place, (name, rate) in enumerate(sorted(self.mask_rates.items()))
            if rate
        }

    def call(self, elements, masked=None, training=None):
        masked, parts = masked or {}, []
        for name in sorted(elements):
            part = self._padded(name, elements[name])
            for mask in self._masks(name, part, masked, training):
                vector = ops.cast(self.mask_vectors[name], part.dtype)
                part = ops.where(mask[..., None], vector, part)
            parts.append(part)
        return ops.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]

    def split(self, joined, lengths):
        """Returns the modalities' parts of `(B, sum of T, ...)`, by a dict of the T that were joined."""
        names = sorted(lengths)
        ends = [sum(lengths[name] for name in names[: place + 1]) for place in range(len(names) - 1)]
        parts = ops.split(joined, ends, axis=1) if ends else [joined]
        return dict(zip(names, parts, strict=True))

    def _padded(self, name, x):
        if name not in self.paddings:
            return x
        padding = ops.cast(self.paddings[name], x.dtype)
        padding = ops.broadcast_to(padding, (ops.shape(x)[0], x.shape[1], padding.shape[-1]))
        return ops.concatenate([x, padding], axis=-1)

    def _masks(self, name, x, masked, training):
        if name in masked:
            yield masked[name]
        if training and self.mask_rates.get(name):
            draws = keras.random.uniform(ops.shape(x)[:2], seed=self.seed_generators[name])
            yield draws < self.mask_rates[name]

    def _vector(self, name, channels):
        return self.add_weight(name=name, shape=(1, channels), initializer=learned_array())

    def compute_output_spec(self, elements, masked=None, training=None):
        shapes = [part.shape for part in elements.values()]
        return keras.KerasTensor(
            (shapes[0][0], sum(shape[1] for shape in shapes), self.dim), dtype=self.compute_dtype
        )

    def get_config(self):
        return {
            **super().get_config(),
            "min_padding": self.min_padding,
            "mask_rates": self.mask_rates,
            "seed": self.seed,
        }
