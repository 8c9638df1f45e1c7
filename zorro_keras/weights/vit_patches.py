"""From the patches of a picture to those of any stream: one rule for size, time and channels."""

import math

import numpy as np

from zorro_keras.layers.learned_positions import resize_positions


def patch_kernel(kernel, stream):
    """Returns the kernel `(P, D)` of a stream's tokenizer, from one of pictures `(rows, columns, C, D)`.

    What a picture and the stream both can show gives the same token: a patch that was enlarged, a still clip
    (over frames the kernel is divided by their number), a grey picture (one channel gets the sum of all). A
    spectrogram is a grey picture whose rows are its frames and whose columns are its bins.

    Args:
        kernel: array `(rows, columns, C, D)`.
        stream: `Image`, `Video` or `Spectrogram`.

    Reference:
        FlexiViT, arXiv 2212.08013, section 3.4, with areas for the interpolation; Carreira and Zisserman,
        arXiv 1705.07750, section 2.2, is the case of frames.
    """
    patch = (1, *stream.patch)[-3:]  # a picture is a clip of one frame
    channels = math.prod(stream.shape[len(stream.patch) :])
    kernel = np.asarray(kernel, "float64")[None]  # F Y X C D
    for axis, size in enumerate(patch):
        kernel = refitted(kernel, axis, size)
    if channels != kernel.shape[3]:
        kernel = refitted(refitted(kernel, 3, 1), 3, channels)
    return kernel.reshape(-1, kernel.shape[-1]).astype("float32")


def patch_positions(positions, grid, stream):
    """Returns a stream's positions `(T, D)`, from those of a picture's grid; every frame gets the same."""
    return resize_positions(positions, (1, *grid), (1, *stream.grid)[-3:])


def refitted(kernel, axis, size):
    """Returns a kernel for patches of another size along an axis.

    A patch that is enlarged by the area of its pixels gives the same token under both kernels. One that is
    reduced does where that is possible, such as a constant one, and otherwise as nearly as any kernel can.
    """
    if kernel.shape[axis] == size:
        return kernel
    solution = np.linalg.pinv(resizing(kernel.shape[axis], size)).T  # (size, old)
    return np.moveaxis(np.tensordot(solution, kernel, axes=(1, axis)), 0, axis)


def resizing(old, new):
    """Returns the matrix `(new, old)` that averages pixels by the area which they have in each new one."""
    begin, first = np.arange(new)[:, None] * old, np.arange(old)[None] * new
    overlap = np.minimum(begin + old, first + new) - np.maximum(begin, first)
    return np.maximum(overlap, 0) / old
