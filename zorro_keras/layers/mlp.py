"""The two dense layers of a transformer block."""

import keras

from zorro_keras.layers.initializers import dense_kernel
from zorro_keras.layers.kernels import by_rows


@keras.saving.register_keras_serializable("zorro_keras")
class MLP(keras.layers.Layer):
    """Dense, activation, dense: applied to every token alone.

    Args:
        mlp_dim: int, channels between the two layers.
        activation: name or callable between them.
        kernel_initializer: initializer of both kernels.

    Call arguments:
        x: float tensor `(..., D)`.

    Returns:
        Tensor `(..., D)`.
    """

    def __init__(self, mlp_dim, activation="gelu", kernel_initializer=None, **kwargs):
        super().__init__(**kwargs)
        if mlp_dim < 1:
            raise ValueError(f"`mlp_dim` must be positive. Received: mlp_dim={mlp_dim}")
        self.mlp_dim = mlp_dim
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer or dense_kernel())

    def build(self, input_shape):
        hidden_shape = (*input_shape[:-1], self.mlp_dim)
        self.hidden_dense = self._dense(self.mlp_dim, "hidden", input_shape, self.activation)
        self.output_dense = self._dense(input_shape[-1], "output", hidden_shape, None)

    def call(self, x):
        return by_rows(self.output_dense, by_rows(self.hidden_dense, x))

    def _dense(self, units, name, input_shape, activation):
        dense = keras.layers.Dense(
            units,
            activation=activation,
            kernel_initializer=self.kernel_initializer.clone(),
            dtype=self.dtype_policy,
            name=name,
        )
        dense.build(input_shape)
        return dense

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "mlp_dim": self.mlp_dim,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
