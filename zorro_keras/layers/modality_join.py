"""One sequence out of several modalities of different widths."""

import itertools

import keras
from keras import ops

from zorro_keras.layers.initializers import learned_array
from zorro_keras.layers.kernels import split_at


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

    Raises:
        ValueError: for a negative padding, rates out of range, rates of unknown modalities, or modalities of
            other names or widths than at first.

    Reference:
        Perceiver IO, arXiv 2107.14795, appendices on multimodal autoencoding and AudioSet.
    """

    def __init__(self, min_padding=0, mask_rates=None, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.min_padding = min_padding
        self.mask_rates = dict(mask_rates or {})
        if min_padding < 0 or any(not 0 <= rate <= 1 for rate in self.mask_rates.values()):
            raise ValueError(
                "`min_padding` must not be negative, `mask_rates` must lie in [0, 1]. "
                f"Received: min_padding={min_padding}, mask_rates={mask_rates}"
            )
        self.seed = seed

    def build(self, elements_shape):
        self.channels = channels = {name: shape[-1] for name, shape in elements_shape.items()}
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
        ends = list(itertools.accumulate((lengths[name] for name in names), _sum))
        if all(isinstance(end, int) for end in ends):
            parts = split_at(joined, ends[:-1], axis=1)
        else:  # a length that TensorFlow knows only when it runs, or that a symbolic call never knows
            parts = [joined[:, start:end] for start, end in zip([0, *ends], ends, strict=False)]
        return dict(zip(names, parts, strict=True))

    def _check(self, name, x):
        if self.channels.get(name) != x.shape[-1]:
            raise ValueError(
                f"`elements` must be of the channels {dict(self.channels)}. Received: {name}={x.shape[-1]}"
            )

    def _padded(self, name, x):
        self._check(name, x)
        if name not in self.paddings:
            return x
        padding = ops.cast(self.paddings[name], x.dtype)
        padding = ops.broadcast_to(padding, (*ops.shape(x)[:2], padding.shape[-1]))
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
        for name in elements:
            self._check(name, elements[name])
        batch, lengths = next(iter(elements.values())).shape[0], [x.shape[1] for x in elements.values()]
        length = None if None in lengths else sum(lengths)
        return keras.KerasTensor((batch, length, self.dim), dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "min_padding": self.min_padding,
            "mask_rates": self.mask_rates,
            "seed": self.seed,
        }


def _sum(end, length):
    return None if end is None or length is None else end + length
