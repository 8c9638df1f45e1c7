"""What a block's branches lose in training: channels of their results, or a branch as a whole."""

import keras

from zorro_keras.layers.kernels import computed_once


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


def read_and_think(x, read, think, dropouts, remat, training, context=()):
    """Returns tokens after a block's two branches, each added to what came before.

    Args:
        x: float tensor, of which each branch returns as much.
        read: callable of `x` and the context.
        think: callable of what the first branch has left.
        dropouts: two lists as `branch_dropouts` returns them.
        remat: bool, whether training recomputes the branches in the backward pass.
        training: bool, whether dropouts act.
        context: tuple of tensors that `read` takes beside `x`; gradients reach them with remat too.
    """
    if remat and training:
        read, think = keras.remat(read), keras.remat(think)
    x = x + drop(read(x, *context), dropouts[0], training)
    return computed_once(x + drop(think(x), dropouts[1], training))


def drop(x, dropouts, training):
    """Returns `x` after the dropouts. Outside of what remat repeats, every seed is drawn once a step."""
    for dropout in dropouts:
        x = dropout(x, training=training)
    return x
