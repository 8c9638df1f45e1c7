"""A Swin with the weights of another implementation, by the names of `swin_names`."""

import numpy as np

from tests.backend import array, compiled
from zorro_keras.weights.load import variable_at, weights_without
from zorro_keras.weights.swin_names import swin_rows, swin_to_ours

SIZES = {"num_layers": (2, 2), "num_heads": (2, 3), "hidden_dim": 6, "read_padding": True}


def give(backbone, origin, tensor_of):
    """Gives a backbone the weights that a function from their names to arrays returns."""
    rows = swin_rows(backbone.num_layers)
    variables = [variable_at(backbone, row.ours) for row in rows]
    assert weights_without(backbone, variables) == []
    for row, variable in zip(rows, variables, strict=True):
        variable.assign(swin_to_ours(row, origin, tensor_of(getattr(row, origin))))


def our_outputs(backbone, x):
    """Returns the outputs for one array."""
    (name,) = backbone.streams
    return {output: array(value) for output, value in compiled(lambda x: backbone({name: x}))(x).items()}


def normal(*shape):
    return np.random.default_rng(1).normal(size=shape).astype("float32")
