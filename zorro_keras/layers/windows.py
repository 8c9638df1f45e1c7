"""Windows on a grid of any rank: where they lie, who in them may read whom, and how far apart they are."""

import functools
import math
from typing import NamedTuple

import numpy as np


class WindowLayout(NamedTuple):
    """How a grid is cut into windows.

    Attributes:
        window: tuple of int, tokens of a window along each axis.
        shift: tuple of int, how far the grid is rolled to the front before it is cut.
        counts: tuple of int, windows along each axis.
        groups: int array `(W, T)`: the tokens of a window that have one number were neighbours in the grid
            too; the others came together because rolling carried some around an edge. Read-only.
        real: bool array `(W, T)`, False for what only fills up the last windows. Read-only.
    """

    window: tuple
    shift: tuple
    counts: tuple
    groups: np.ndarray
    real: np.ndarray


@functools.lru_cache(maxsize=256)
def window_layout(grid, window, shifted):
    """Returns the `WindowLayout` of a grid.

    On an axis that fits into one window, the window is the axis and nothing is shifted; on others the grid is
    filled up at its end, and shifted windows lie half a window further.

    Args:
        grid: tuple of int, tokens along each axis.
        window: tuple of int, the largest window.
        shifted: bool.
    """
    pairs = list(zip(grid, window, strict=True))
    window = tuple(min(size, step) for size, step in pairs)
    shift = tuple(step // 2 if shifted and size > step else 0 for size, step in pairs)
    counts = tuple(-(-size // step) for size, step in zip(grid, window, strict=True))
    groups, real = np.zeros((), int), np.ones((), bool)
    for size, step, moved, count in zip(grid, window, shift, counts, strict=True):
        places = np.arange(count * step) + moved  # before the grid was rolled
        around = places >= count * step
        groups = 2 * groups[..., None] + around
        real = real[..., None] & (places % (count * step) < size)
    return WindowLayout(window, shift, counts, *(_kept(_by_window(x, window)) for x in (groups, real)))


def _by_window(values, window):
    """Returns `(W, T)` of an array over the grid."""
    rank = len(window)
    split = [part for size, step in zip(values.shape, window, strict=True) for part in (size // step, step)]
    values = values.reshape(split).transpose((*range(0, 2 * rank, 2), *range(1, 2 * rank, 2)))
    return values.reshape(-1, math.prod(window))


def visible_groups(layout, read_padding):
    """Returns int arrays `(W, T)` of queries and of keys: a query may read the keys that have its number.

    Both are `None` where every query may read every key of its window.
    """
    keys = layout.groups if read_padding else np.where(layout.real, layout.groups, -1)
    if (keys == layout.groups[:, :1]).all():
        return None, None
    return layout.groups, keys


@functools.lru_cache(maxsize=256)
def relative_position_index(window, largest=None):
    """Returns the row of a table for every pair of tokens of a window: int array `(T, T)`, read-only.

    The table has a row for each offset, query minus key, the last axis fastest: 2 W - 1 along an axis.

    Args:
        window: tuple of int, tokens along each axis.
        largest: tuple of int, the window that the table was made for; `None` for the same.

    Reference:
        Swin, arXiv 2103.14030, equation 4; Video Swin, arXiv 2106.13230, section 3.2.
    """
    largest = largest or window
    places = np.indices(window).reshape(len(window), -1)  # axes T
    offsets = places[:, :, None] - places[:, None, :]  # axes T T
    from_zero = offsets + np.reshape(largest, (-1, 1, 1)) - 1
    return _kept(np.ravel_multi_index(tuple(from_zero), [2 * size - 1 for size in largest]))


def _kept(x):
    """Returns an array that nobody can write to: the next call is given the same one."""
    x.setflags(write=False)
    return x
