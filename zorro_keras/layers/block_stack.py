"""A stack of blocks as a loop over their weights, which compiles one block instead of all."""

import itertools

from keras import ops

from zorro_keras.layers.kernels import loops_over_weights


def in_turn(blocks, x, training=None, **reading):
    """Returns what blocks make of a tensor, one after the other.

    Where blocks recompute their branches in training (`remat`), JAX runs them as one loop over their stacked
    weights. A deep stack then takes as long to compile as a block, and XLA on a CPU really frees what is
    computed again: without a loop it merges both computations, and keeps it. The numbers are the same up to
    rounding, the random draws equal. The price is a copy of the blocks' weights, and of their gradients, for
    as long as a step takes. What blocks would `add_loss` is lost in a loop.

    Args:
        blocks: list of `TransformerBlock` that differ in weights, seeds, `stochastic_depth_rate` and in which
            of their weights are frozen alone.
        x: float tensor `(B, T, D)`.
        training: bool.
        reading: what each block is called with besides.
    """
    for _, alike in itertools.groupby(blocks, key=_kinds_of_variables):
        alike = list(alike)
        if training and len(alike) > 1 and alike[0].remat and loops_over_weights(x):
            x = _loop(alike, x, reading)
        else:
            for block in alike:
                x = block(x, training=training, **reading)
    return x


def _kinds_of_variables(block):
    """A block that skips nothing has fewer variables than others, as it holds no seeds for that."""
    return [(tuple(variable.shape), variable.trainable) for variable in block.variables]


def _loop(blocks, x, reading):
    first, skips = blocks[0], bool(blocks[0].stochastic_depth_rate)
    rates = ops.convert_to_tensor([block.stochastic_depth_rate for block in blocks], "float32")
    # Of what is not trained, seeds move on. Frozen weights do not: there would be a copy of them to put back.
    moving = [place for place, each in enumerate(first.non_trainable_variables) if each.dtype == "uint32"]

    def step(x, block):
        trainable, others, rate = block
        skipping = {"skip_rate": rate} if skips else {}
        x, others = first.stateless_call(trainable, others, x, training=True, **skipping, **reading)
        return x, [others[place] for place in moving]

    trainable = _stacked(block.trainable_variables for block in blocks)
    others = _stacked(block.non_trainable_variables for block in blocks)
    x = ops.cast(x, first.compute_dtype)  # as a call of a block casts it
    x, moved = ops.scan(step, x, (trainable, others, rates))
    for place, values in zip(moving, moved, strict=True):
        for block, value in zip(blocks, ops.unstack(values, len(blocks)), strict=True):
            block.non_trainable_variables[place].assign(value)
    return x


def _stacked(variables_of_blocks):
    return [ops.stack(alike) for alike in zip(*variables_of_blocks, strict=True)]
