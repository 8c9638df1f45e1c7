"""Space to depth on a grid of any rank: from an array to its patches."""

import math

from keras import ops


def cut_patches(x, patch):
    """Returns the patches `(B, T, P)` of an array, in the order of its axes, the last axis fastest.

    A patch is read out in the same order, so its channels come last and vary fastest.

    Args:
        x: tensor `(B, *shape)`, every size but B known.
        patch: tuple of int, size of a patch along the first axes of the shape; it must divide them. Axes
            beyond those, such as channels, belong to every patch whole.
    """
    rank = len(patch)
    sizes, rest = x.shape[1 : rank + 1], x.shape[rank + 1 :]
    grid = tuple(size // step for size, step in zip(sizes, patch, strict=True))
    split = [size for pair in zip(grid, patch, strict=True) for size in pair]
    x = ops.reshape(x, (-1, *split, *rest))
    tail = range(2 * rank + 1, 2 * rank + 1 + len(rest))
    x = ops.transpose(x, (0, *range(1, 2 * rank, 2), *range(2, 2 * rank + 1, 2), *tail))
    return ops.reshape(x, (-1, math.prod(grid), math.prod(patch) * math.prod(rest)))
