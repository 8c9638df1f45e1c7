"""Convolutions over frames that are looked at together, for pictures of any size."""

import keras
from keras import ops

from zorro_keras.layers.conv_stem import ConvStem
from zorro_keras.layers.patches import check_frames


@keras.saving.register_keras_serializable("zorro_keras")
class FrameConvStem(keras.layers.Layer):
    """A `ConvStem` of one stage on several frames in a row, whose channels it joins, or on each alone.

    A picture whose sides 4 does not divide gets zeros below and to the right, so that every pixel lies in a
    cell.

    Args:
        embed_dim: int, channels of the convolution.
        frames: int, how many frames in a row make one element; 1 keeps each frame alone.

    Call arguments:
        x: float tensor `(B, F, Y, X, C)`, F a multiple of `frames`.

    Returns:
        Tensor `(B, F / frames, Y / 4, X / 4, embed_dim)`, the sides rounded up.

    Raises:
        ValueError: for sizes that are not positive, or a number of frames that `frames` does not divide.

    Reference:
        Perceiver IO, arXiv 2107.14795, appendix on optical flow: the models that convolve and downsample.
    """

    step = 4  # pixels along each side of a cell

    def __init__(self, embed_dim, frames=1, **kwargs):
        super().__init__(**kwargs)
        if frames < 1:
            raise ValueError(f"`frames` must be positive. Received: frames={frames}")
        self.embed_dim = embed_dim
        self.frames = frames
        self.convolution = ConvStem(embed_dim, dtype=self.dtype_policy, name="convolution")

    def build(self, x_shape):
        self.convolution.build((*x_shape[:4], self.frames * x_shape[4]))

    def call(self, x, training=None):
        check_frames(x.shape, self.frames)
        joined = [x[:, frame :: self.frames] for frame in range(self.frames)]
        x = ops.concatenate(joined, axis=-1) if len(joined) > 1 else x
        below, right = (-size % self.step for size in ops.shape(x)[2:4])
        x = ops.pad(x, ((0, 0), (0, 0), (0, below), (0, right), (0, 0)))
        return self.convolution(x, training=training)

    def compute_output_shape(self, x_shape):
        batch, frames, *picture = x_shape[:4]
        frames = None if frames is None else frames // self.frames
        picture = (size if size is None else -(-size // self.step) for size in picture)
        return (batch, frames, *picture, self.embed_dim)

    def get_config(self):
        return {**super().get_config(), "embed_dim": self.embed_dim, "frames": self.frames}
