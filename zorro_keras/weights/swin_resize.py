"""Weights of a Swin for another window, for clips instead of pictures, for sounds instead of colours."""

import math

import numpy as np

CUBIC = -0.75  # the coefficient of torch's bicubic interpolation, by which official code resizes tables


def bias_table(table, source, target):
    """Returns a table `(rows, N)` of relative positions for another window.

    Fewer frames take the rows of their own offsets. Along other axes, and for more frames, the offsets of the
    new window are those of the old one stretched, as in the official code. A table of pictures is repeated
    for every offset in time.

    Args:
        table: float array `(rows, N)`.
        source: tuple of int, the window that it was trained for.
        target: tuple of int, the window that it is wanted for: of the same rank or of one axis more in front.

    Reference:
        Video Swin, arXiv 2106.13230, section 3.3, for the repetition.
    """
    if len(target) == len(source) + 1:
        inner = bias_table(table, source, target[1:])
        return np.tile(inner, (2 * target[0] - 1, 1))
    spans, wanted = ([2 * size - 1 for size in window] for window in (source, target))
    offsets = np.asarray(table).reshape(*spans, -1)  # one axis for each of the window's, then N
    for axis, (old, new) in enumerate(zip(spans, wanted, strict=True)):
        if axis == 0 and len(source) == 3 and new < old:
            offsets = offsets[(old - new) // 2 : (old + new) // 2]
        elif new != old:
            offsets = np.moveaxis(np.tensordot(_cubic(old, new), offsets, (1, axis)), 0, axis)
    return offsets.reshape(-1, offsets.shape[-1]).astype(table.dtype)


def surrounded(table, source, target):
    """Returns a table `(rows, N)` for a larger window, whose own rows are its middle.

    An offset that the smaller window has not gets the row of the nearest that it has.

    Args:
        table: float array `(rows, N)`.
        source: tuple of int, the window that it was trained for.
        target: tuple of int, a window of the same rank that is nowhere smaller.

    Raises:
        ValueError: for another number of rows than the window has offsets.
    """
    spans = [2 * size - 1 for size in source]
    if len(table) != math.prod(spans):
        raise ValueError(f"A window of {source} needs {math.prod(spans)} rows. Received: {len(table)}")
    offsets = np.asarray(table).reshape(*spans, -1)  # one axis for each of the window's, then N
    more = [(new - old, new - old) for old, new in zip(source, target, strict=True)]
    return np.pad(offsets, [*more, (0, 0)], mode="edge").reshape(-1, offsets.shape[-1])


def patch_kernel(kernel, source, target, channels):
    """Returns a kernel of patches `(values, D)` for patches that reach over more frames or fewer channels.

    One frame's kernel is copied to every frame and divided by their number, so that a still picture gives
    what it gave. Where one channel is wanted the channels' kernels are added: a grey picture gives what it
    gave.

    Args:
        kernel: float array `(values, D)`, values in the order of the patch's axes, channels fastest.
        source: tuple of int, the patch that it was trained for.
        target: tuple of int, the patch that it is wanted for.
        channels: int, of the wanted patch.
    """
    kernel = np.asarray(kernel).reshape(*source, -1, kernel.shape[-1])  # patch C D
    if len(target) == len(source) + 1:
        kernel = np.repeat(kernel[None], target[0], axis=0) / target[0]
    if channels == 1:
        kernel = kernel.sum(axis=-2, keepdims=True)
    return kernel.reshape(-1, kernel.shape[-1]).astype("float32")


def _cubic(old, new):
    """Returns the matrix `(new, old)` of cubic interpolation between the centres of equal cells."""
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    first = np.floor(centres).astype(int)
    matrix = np.zeros((new, old))
    for step in range(-1, 3):
        far = np.abs(centres - (first + step))
        near = (CUBIC + 2) * far**3 - (CUBIC + 3) * far**2 + 1
        tail = CUBIC * (far**3 - 5 * far**2 + 8 * far - 4)
        places = np.clip(first + step, 0, old - 1)  # beyond the ends the last value goes on
        np.add.at(matrix, (np.arange(new), places), np.where(far <= 1, near, tail))
    return matrix
