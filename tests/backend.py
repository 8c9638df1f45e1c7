"""What tests ask of the running backend: arrays, gradients, compiled functions."""

import keras
import numpy as np


def array(x):
    """Returns a tensor as a float32, int or bool numpy array."""
    x = keras.ops.convert_to_numpy(keras.ops.cast(x, "float32") if "float" in str(x.dtype) else x)
    return np.asarray(x)


def gradients(function, *arrays):
    """Returns the gradients of a scalar function of numpy arrays, as numpy arrays."""
    backend = keras.config.backend()
    if backend == "jax":
        import jax

        # Compiled whole: op by op, JAX would compile each of some hundred operations on its own.
        grad = jax.jit(jax.grad(function, argnums=tuple(range(len(arrays)))))
        grads = grad(*map(jax.numpy.asarray, arrays))
        return [np.asarray(grad) for grad in grads]
    tensors = [keras.ops.convert_to_tensor(a) for a in arrays]
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = function(*tensors)
        return [
            np.zeros(a.shape) if grad is None else np.asarray(tf.convert_to_tensor(grad))
            for a, grad in zip(arrays, tape.gradient(value, tensors), strict=True)
        ]
    tensors = [tensor.detach().clone().requires_grad_() for tensor in tensors]
    function(*tensors).backward()
    return [
        np.zeros(a.shape) if t.grad is None else t.grad.numpy() for a, t in zip(arrays, tensors, strict=True)
    ]


def compiled(function):
    """Returns the function compiled as `fit` would compile it; torch runs it as it is."""
    backend = keras.config.backend()
    if backend == "jax":
        import jax

        return jax.jit(function)
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    return function
