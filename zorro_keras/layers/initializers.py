"""Initialisers that the field uses for transformers."""

import keras

# Of a normal distribution of standard deviation 1 cut at 2, the standard deviation.
CUT_NORMAL_STDDEV = 0.87962566103423978


def dense_kernel():
    """Returns the initialiser of a dense kernel: Glorot uniform, as in the published ViT code."""
    return keras.initializers.GlorotUniform()


def learned_array(stddev=0.02):
    """Returns the initialiser of a learned array (tokens, positions, queries): truncated normal."""
    return keras.initializers.TruncatedNormal(stddev=stddev)


def table_stddev(rows):
    """Returns the `stddev` of a `learned_array` of so many rows that starts as Haiku's tables in HiP do.

    There a table counts as a linear layer of its rows, so that what is left after the cut has 1/sqrt(rows).
    """
    return rows**-0.5 / CUT_NORMAL_STDDEV


def attention_kernel():
    """Returns Perceiver's initialiser of attention and MLP kernels: LeCun normal."""
    return keras.initializers.LecunNormal()


def fan_in_kernel():
    """Returns Haiku's default for linear layers and convolutions: normal of std 1/sqrt(fan-in), cut at 2 std.

    LeCun normal widens the normal to make up for the cut; this one does not.
    """
    return keras.initializers.VarianceScaling(CUT_NORMAL_STDDEV**2, "fan_in", "truncated_normal")


def swin_kernel():
    """Returns Swin's initialiser of linear layers: normal of standard deviation 0.02, cut at 2 of them."""
    return keras.initializers.TruncatedNormal(stddev=0.02)
