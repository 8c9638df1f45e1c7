"""What a Swin makes of an array, and arrays for it."""

import numpy as np

from tests.backend import array, compiled


def our_outputs(backbone, x):
    """Returns the outputs for one array."""
    (name,) = backbone.streams
    return {output: array(value) for output, value in compiled(lambda x: backbone({name: x}))(x).items()}


def normal(*shape):
    return np.random.default_rng(1).normal(size=shape).astype("float32")
