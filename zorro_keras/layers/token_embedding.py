"""A vector for each id."""

import keras
from keras import ops

from zorro_keras.layers.kernels import rows_of


@keras.saving.register_keras_serializable("zorro_keras")
class TokenEmbedding(keras.layers.Embedding):
    """Learned vectors of ids, as `keras.layers.Embedding`, which trains alike on every backend.

    On TensorFlow the gradient of Keras' own layer lists an id as often as it occurs in a batch, and
    optimizers square each occurrence alone: Adam and LAMB take steps of another length for frequent ids, and
    norms are clipped wrongly. Here the gradient is that of the table.

    The gradient of an id is added up in float32 in any dtype policy.

    Args:
        input_dim: int, number of ids.
        output_dim: int, channels.
        embeddings_initializer, and others: as for `keras.layers.Embedding`.

    Call arguments:
        inputs: integer tensor of any shape, ids within `[0, input_dim)`.

    Returns:
        Tensor `(*inputs.shape, output_dim)`.
    """

    def add_weight(self, *args, name=None, **kwargs):
        options = {"autocast": False} if name == "embeddings" else {}  # see `rows_of`
        return super().add_weight(*args, name=name, **{**options, **kwargs})

    def call(self, inputs):
        return ops.cast(rows_of(self.embeddings, ops.cast(inputs, "int32")), self.compute_dtype)

    def quantize(self, mode=None, type_check=True, **kwargs):
        """As Keras' own layer, which by default refuses other classes than itself, as this one does."""
        return super().quantize(mode, type_check=type_check and type(self) is not TokenEmbedding, **kwargs)
