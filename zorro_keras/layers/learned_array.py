"""A trained array that is its own input: fusion tokens, latents, read-out and output queries."""

import keras
from keras import ops

from zorro_keras.layers.initializers import learned_array
from zorro_keras.layers.kernels import rows_of
from zorro_keras.layers.learned_positions import resize_positions


@keras.saving.register_keras_serializable("zorro_keras")
class LearnedArray(keras.layers.Layer):
    """Learned vectors `(length, dim)`, given to every example of a batch.

    Args:
        length: int, number of vectors.
        dim: int, channels of each.
        stddev: float, of the truncated normal that they start from.

    Call arguments:
        like: tensor `(B, ...)` of which only the batch size is used.
        rows: int tensor `(R,)`, to take those vectors only, or `(B, R)`, for each example its own; `None` for
            all.

    Returns:
        Tensor `(B, length, dim)`, or `(B, R, dim)`.
    """

    def __init__(self, length, dim, stddev=0.02, **kwargs):
        super().__init__(**kwargs)
        if length < 1 or dim < 1:
            raise ValueError(f"`length` and `dim` must be positive. Received: length={length}, dim={dim}")
        self.length = length
        self.dim = dim
        self.stddev = stddev

    def build(self, like_shape):
        self.array = self.add_weight(
            name="array",
            shape=(self.length, self.dim),
            initializer=learned_array(self.stddev),
            autocast=False,  # see `rows_of`
        )

    def call(self, like, rows=None):
        array = self.array if rows is None else rows_of(self.array, rows)
        return for_each_example(ops.cast(array, self.compute_dtype), like)

    def assign_resized(self, source, old_grid, new_grid):
        """Takes over the vectors of another `LearnedArray`, one for each place of a grid, on another grid.

        Args:
            source: `LearnedArray` of as many vectors as `old_grid` has places, the last axis fastest.
            old_grid, new_grid: tuples of int, of one length.
        """
        array = ops.convert_to_numpy(source.array)
        self.array.assign(resize_positions(array, tuple(old_grid), tuple(new_grid)))

    def compute_output_spec(self, like, rows=None):
        length = self.length if rows is None else rows.shape[-1]
        return keras.KerasTensor((like.shape[0], length, self.dim), dtype=self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "length": self.length, "dim": self.dim, "stddev": self.stddev}


def for_each_example(array, like):
    """Returns `(B, T, C)`: an array `(T, C)` for each of the B examples of `like`, or one that is theirs."""
    if len(array.shape) == 3:
        return array
    return ops.broadcast_to(array[None], (ops.shape(like)[0], *ops.shape(array)))
