"""What a block's branches lose in training: channels of their results, or a branch as a whole."""

import keras


def branch_dropouts(branch, rank, dropout_rate, stochastic_depth_rate, seed, dtype):
    """Returns the dropouts of a branch's result, built, those of rate zero left out.

    Args:
        branch: int, its place in the block.
        rank: int, number of axes of the result.
        dropout_rate: float in [0, 1), probability to drop a channel.
        stochastic_depth_rate: float in [0, 1), probability to skip the branch for a whole example.
        seed: int, of the block; each branch takes two seeds from there on.
        dtype: dtype policy.

    Reference:
        Stochastic depth, arXiv 1603.09382.
    """
    whole = (None, *[1] * (rank - 1))  # one draw an example
    layers = []
    for offset, (name, rate, noise_shape) in enumerate(
        (("dropout", dropout_rate, None), ("skip", stochastic_depth_rate, whole))
    ):
        if rate:
            layers.append(
                keras.layers.Dropout(
                    rate, noise_shape, seed + 2 * branch + offset, name=f"{name}_{branch}", dtype=dtype
                )
            )
            layers[-1].build(())
    return layers


def drop(x, dropouts, training):
    """Returns `x` after the dropouts. Outside of what remat repeats, every seed is drawn once a step."""
    for dropout in dropouts:
        x = dropout(x, training=training)
    return x
