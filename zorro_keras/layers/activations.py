"""Activations that Keras has only under an option."""

import keras


@keras.saving.register_keras_serializable("zorro_keras")
def gelu_tanh(x):
    """Returns the tanh approximation of GELU: the default of JAX, and so what DeepMind's models compute.

    Reference:
        arXiv 1606.08415, section 2.
    """
    return keras.ops.gelu(x, approximate=True)
