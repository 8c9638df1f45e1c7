"""Integer ids as vectors of zeros with a single one."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("zorro_keras")
class OneHot(keras.layers.Layer):
    """Turns each id into a one-hot vector: labels, kinds of units, and other short vocabularies as inputs.

    Args:
        num_classes: int, K.

    Call arguments:
        ids: int tensor `(B, ...)` in [0, K).

    Returns:
        Tensor `(B, ..., K)` of the layer's compute dtype.

    Raises:
        ValueError: if `num_classes` is not positive.

    Reference:
        Perceiver IO, arXiv 2107.14795, appendix on multimodal autoencoding: the label as an input.
    """

    def __init__(self, num_classes, **kwargs):
        super().__init__(**kwargs)
        if num_classes < 1:
            raise ValueError(f"`num_classes` must be positive. Received: num_classes={num_classes}")
        self.num_classes = num_classes

    def build(self, ids_shape):
        pass

    def call(self, ids):
        return ops.one_hot(ops.cast(ids, "int32"), self.num_classes, dtype=self.compute_dtype)

    def compute_output_shape(self, ids_shape):
        return (*ids_shape, self.num_classes)

    def compute_output_spec(self, ids):
        return keras.KerasTensor(self.compute_output_shape(ids.shape), dtype=self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}
