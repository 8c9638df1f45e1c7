"""Activations that Keras has only under an option."""

import keras


@keras.saving.register_keras_serializable("zorro_keras")
def gelu_tanh(x):
    """Returns the tanh approximation of GELU: the default of JAX, and so what DeepMind's models compute.

    Reference:
        arXiv 1606.08415, section 2.
    """
    return keras.ops.gelu(x, approximate=True)


@keras.saving.register_keras_serializable("zorro_keras")
def squared_relu(x):
    """Returns the square of what is positive of `x`, and 0 for the rest.

    Reference:
        Primer, arXiv 2109.08668, section 3.1; the activation of the published HiP.
    """
    return keras.ops.square(keras.ops.relu(x))
