"""What a block's branches lose in training: channels of their results, or a branch as a whole."""

import keras
from keras import ops

from zorro_keras.layers.kernels import computed_once


@keras.saving.register_keras_serializable("zorro_keras")
class Skip(keras.layers.Dropout):
    """Drops a branch for whole examples: a dropout of one draw an example, whose rate a call may give.

    It casts nothing that it is called with: the result of a branch has its dtype, and a small rate would be
    another in half precision.

    Call arguments:
        x: float tensor `(B, ...)`.
        rate: scalar tensor in [0, 1) that replaces the layer's own; `None` for that. Given where one program
            serves several blocks.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.autocast = False

    def call(self, x, training=False, rate=None):
        if rate is None or not training:
            return super().call(x, training=training)
        shape = (ops.shape(x)[0], *[1] * (len(x.shape) - 1))
        kept = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator) < 1 - rate
        return ops.where(kept, x / ops.cast(1 - rate, x.dtype), ops.zeros_like(x))


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
    for offset, (kind, name, rate, noise_shape) in enumerate(
        (
            (keras.layers.Dropout, "dropout", dropout_rate, None),
            (Skip, "skip", stochastic_depth_rate, whole),
        )
    ):
        if rate:
            place = {"seed": seed + 2 * branch + offset, "name": f"{name}_{branch}"}
            layers.append(kind(rate, noise_shape, **place, dtype=dtype))
            layers[-1].build(())
    return layers


def attention_seed(seed):
    """Returns the seed of the dropout of a block's attention, far from those that its branches take."""
    return seed + 2**20


def read_and_think(x, read, think, dropouts, remat, training, context=(), skip_rate=None, draws=False):
    """Returns tokens after a block's two branches, each added to what came before.

    Args:
        x: float tensor, of which each branch returns as much.
        read: callable of `x` and the context.
        think: callable of what the first branch has left.
        dropouts: two lists as `branch_dropouts` returns them.
        remat: bool, whether training recomputes the branches in the backward pass.
        training: bool, whether dropouts act.
        context: tuple of tensors that `read` takes beside `x`; gradients reach them with remat too.
        skip_rate: scalar tensor that replaces the probability to skip a branch; `None` for the block's.
        draws: bool, whether `read` draws random numbers. Computed again it would draw others, so it is kept.
    """
    if remat and training:
        read, think = read if draws else keras.remat(read), keras.remat(think)
    x = x + drop(read(x, *context), dropouts[0], training, skip_rate)
    return computed_once(x + drop(think(x), dropouts[1], training, skip_rate))


def drop(x, dropouts, training, skip_rate=None):
    """Returns `x` after the dropouts. Outside of what remat repeats, every seed is drawn once a step."""
    for dropout in dropouts:
        rate = {"rate": skip_rate} if isinstance(dropout, Skip) else {}
        x = dropout(x, training=training, **rate)
    return x
