"""Initialisers that the field uses for transformers."""

import keras


def dense_kernel():
    """Returns the initialiser of a dense kernel: Glorot uniform, as in the published ViT code."""
    return keras.initializers.GlorotUniform()


def learned_array(stddev=0.02):
    """Returns the initialiser of a learned array (tokens, positions, queries): truncated normal."""
    return keras.initializers.TruncatedNormal(stddev=stddev)
