"""The mean of those tokens that are real."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("zorro_keras")
class MaskedMean(keras.layers.Layer):
    """Averages the tokens of each example, or those of them that a mask leaves.

    Call arguments:
        tokens: float tensor `(B, T, D)`.
        padding_mask: bool tensor `(B, T)`, True = real; `None` for all. What is False may hold anything.

    Returns:
        Tensor `(B, D)`; zeros for an example without a real token.
    """

    def build(self, tokens_shape):
        pass

    def call(self, tokens, padding_mask=None):
        tokens = ops.cast(tokens, "float32")  # a sum of many in bfloat16 would stop to grow
        if padding_mask is None:
            return ops.cast(ops.mean(tokens, axis=1), self.compute_dtype)
        real = ops.cast(padding_mask, "bool")[..., None]  # B T 1
        count = ops.maximum(ops.sum(ops.cast(real, "float32"), axis=1), 1.0)
        total = ops.sum(ops.where(real, tokens, 0.0), axis=1)
        return ops.cast(total / count, self.compute_dtype)

    def compute_output_spec(self, tokens, padding_mask=None):
        return keras.KerasTensor((tokens.shape[0], tokens.shape[-1]), dtype=self.compute_dtype)
