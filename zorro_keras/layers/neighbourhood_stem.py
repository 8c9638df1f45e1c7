"""The neighbourhood of every pixel as an element, in one frame or in several together."""

import math

import keras
from keras import ops

from zorro_keras.layers.grid_stem import GridStem
from zorro_keras.layers.patches import check_frames


@keras.saving.register_keras_serializable("zorro_keras")
class NeighbourhoodStem(GridStem):
    """Reads the square around every pixel, with zeros beyond the border; a linear layer may follow.

    The values of an element come in the order frame, row, column, channel.

    Args:
        size: int, odd, rows and columns of the square; 1 for the pixel alone.
        frames: int, how many frames in a row make one element; 1 keeps each frame alone.
        embed_dim: int, channels that a neighbourhood is projected to; `None` keeps its values as they are.

    Call arguments:
        x: float tensor `(B, F, Y, X, C)`, F a multiple of `frames`.

    Returns:
        Tensor `(B, F / frames, Y, X, frames * size * size * C)`, or `(B, F / frames, Y, X, embed_dim)`.

    Raises:
        ValueError: for sizes that are not positive, an even `size`, or a number of frames that `frames` does
            not divide.

    Reference:
        Perceiver IO, arXiv 2107.14795, section 4.2 and appendix on optical flow: 3 x 3 pixels of two frames.
    """

    def __init__(self, size=3, frames=1, embed_dim=None, **kwargs):
        super().__init__("size and frames", (size, frames), embed_dim, **kwargs)
        if size % 2 == 0:
            raise ValueError(f"`size` must be odd, with the pixel in the middle. Received: size={size}")
        self.size = size
        self.frames = frames

    def cells(self, x):
        check_frames(x.shape, self.frames)
        border = self.size // 2
        (_, _, height, width), rows = ops.shape(x)[:4], range(self.size)
        x = ops.pad(x, ((0, 0), (0, 0), (border, border), (border, border), (0, 0)))
        parts = [
            x[:, frame :: self.frames, row : row + height, column : column + width]
            for frame in range(self.frames)
            for row in rows
            for column in rows
        ]
        return ops.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]

    def num_values(self, x_shape):
        return self.frames * self.size**2 * math.prod(x_shape[4:])

    def grid(self, x_shape):
        frames, *picture = x_shape[1:4]
        return (None if frames is None else frames // self.frames, *picture)

    def get_config(self):
        return {**super().get_config(), "size": self.size, "frames": self.frames}
