"""Space to depth on a grid of any rank: from an array to its patches and back."""

import math

from keras import ops


def cut_patches(x, patch):
    """Returns the patches `(B, *grid, P)` of an array.

    A patch is read out in the order of the array's axes, the last axis fastest, so its channels come last.

    Args:
        x: tensor `(B, *shape)`; on TensorFlow its sizes need not be known.
        patch: tuple of int, size of a patch along the first axes of the shape; it must divide them. Axes
            beyond those, such as channels, belong to every patch whole.

    Raises:
        ValueError: if the patch does not divide the array.
    """
    rank = len(patch)
    if any(size is not None and size % step for size, step in zip(x.shape[1:], patch, strict=False)):
        raise ValueError(f"A patch must divide the array. Received: patch={patch}, shape={tuple(x.shape)}")
    sizes, rest = ops.shape(x)[1 : rank + 1], math.prod(x.shape[rank + 1 :])
    grid = tuple(size // step for size, step in zip(sizes, patch, strict=True))
    # Axes that stay beside each other stay one: two for each axis of the grid are few enough for LiteRT.
    split = [size for pair in zip(grid, patch, strict=True) for size in pair]
    x = ops.reshape(x, (-1, *split[1:-1], patch[-1] * rest))
    x = ops.transpose(x, (*range(0, 2 * rank, 2), *range(1, 2 * rank, 2)))
    return ops.reshape(x, (-1, *grid, math.prod(patch) * rest))


def join_patches(patches, patch):
    """Returns the array `(B, *shape, C)` of its patches `(B, *grid, P)`: what `cut_patches` made them of.

    Args:
        patches: tensor whose grid is known.
        patch: tuple of int, size of a patch along each axis of the grid.
    """
    rank, grid = len(patch), tuple(patches.shape[1:-1])
    channels = patches.shape[-1] // math.prod(patch)
    x = ops.reshape(patches, (-1, *grid[1:], *patch[:-1], patch[-1] * channels))
    x = ops.transpose(x, [axis for place in range(rank) for axis in (place, place + rank)])
    return ops.reshape(x, (-1, *(size * step for size, step in zip(grid, patch, strict=True)), channels))


def pad_to_multiples(x, steps):
    """Returns an array `(B, *shape)` with zeros at the end of its first axes, so that the steps divide them.

    Raises:
        ValueError: if one of those sizes is not known.
    """
    sizes = tuple(x.shape[1 : len(steps) + 1])
    if None in sizes:
        raise ValueError(f"The sizes {sizes} of a grid must be known. Received: shape={tuple(x.shape)}")
    ends = [(0, -size % step) for size, step in zip(sizes, steps, strict=True)]
    if not any(end for _, end in ends):
        return x
    return ops.pad(x, [(0, 0), *ends, *[(0, 0)] * (len(x.shape) - len(steps) - 1)])


def flatten_grid(x):
    """Returns `(B, T, C)` of an array `(B, *grid, C)`, the grid's last axis fastest."""
    grid = ops.shape(x)[1:-1]
    return x if len(grid) == 1 else ops.reshape(x, (-1, math.prod(grid), x.shape[-1]))


def check_frames(x_shape, frames):
    """Does nothing if `frames` divides the frames of `(B, F, ...)`, or if their number is not known.

    Raises:
        ValueError: naming both.
    """
    if len(x_shape) != 5 or (x_shape[1] is not None and x_shape[1] % frames):
        raise ValueError(
            f"Frames (B, F, Y, X, C) are expected, F a multiple of {frames}. Received: {tuple(x_shape)}"
        )
