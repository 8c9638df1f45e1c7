"""What an agent makes of an entity encoder: an embedding of each unit, one of all, and a pointer."""

from __future__ import annotations

import keras
from keras import ops

from zorro_keras.layers import MaskedMean, PointerHead


@keras.saving.register_keras_serializable("zorro_keras")
class UnitHeads(keras.layers.Layer):
    """Embeds each unit and all of them together, and scores each unit against what is known of all.

    Args:
        embed_dim: int, E, channels of both embeddings.
        key_dim: int, channels of the pointer's keys.

    Call arguments:
        answers: float tensor `(B, M, D)`, of an entity encoder.
        padding_mask: bool tensor `(B, M)`, True = real; `None` for all.

    Returns:
        Dict with `selection`, logits `(B, M)`, -1e9 for masked slots; `units` `(B, M, E)`, zeros for masked
        slots; and `pooled` `(B, E)`.

    Reference:
        AlphaStar, doi 10.1038/s41586-019-1724-z, supplement: ReLU and 1x1 convolution to 256; masked mean,
        linear layer of 256, ReLU; units by a pointer. There an LSTM makes the pointer's queries, one unit
        after the other; ours asks once, and every unit is decided for itself.
    """

    def __init__(self, embed_dim=256, key_dim=32, **kwargs):
        super().__init__(**kwargs)
        if embed_dim < 1:
            raise ValueError(f"`embed_dim` must be positive. Received: embed_dim={embed_dim}")
        self.embed_dim = embed_dim
        self.key_dim = key_dim

    def build(self, answers_shape):
        policy = self.dtype_policy
        self.mean = MaskedMean(dtype=policy, name="mean")
        self.mean.build(answers_shape)
        self.unit_dense = keras.layers.Dense(self.embed_dim, dtype=policy, name="unit")
        self.unit_dense.build(answers_shape)
        self.pooled_dense = keras.layers.Dense(self.embed_dim, "relu", dtype=policy, name="pooled")
        self.pooled_dense.build((None, answers_shape[-1]))
        # A loss's exponentials need float32.
        last = keras.DTypePolicy("float32") if policy.compute_dtype != "float32" else policy
        self.pointer = PointerHead(self.key_dim, dtype=last, name="pointer")
        self.pointer.build((*answers_shape[:-1], self.embed_dim), (None, self.embed_dim))

    def call(self, answers, padding_mask=None):
        units = self.unit_dense(ops.relu(answers))  # B M E
        if padding_mask is not None:
            units = ops.where(padding_mask[..., None], units, ops.zeros_like(units))
        pooled = self.pooled_dense(self.mean(answers, padding_mask))  # B E
        return {"selection": self.pointer(units, pooled, padding_mask), "units": units, "pooled": pooled}

    def compute_output_spec(self, answers, padding_mask=None):
        batch, slots, dtype = answers.shape[0], answers.shape[1], self.compute_dtype
        return {
            "selection": keras.KerasTensor((batch, slots), "float32"),
            "units": keras.KerasTensor((batch, slots, self.embed_dim), dtype),
            "pooled": keras.KerasTensor((batch, self.embed_dim), dtype),
        }

    def get_config(self):
        return {**super().get_config(), "embed_dim": self.embed_dim, "key_dim": self.key_dim}
