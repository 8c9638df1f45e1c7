"""From a grid to one of half the rows and columns and twice the channels."""

import keras
from keras import ops

from zorro_keras.layers.initializers import swin_kernel
from zorro_keras.layers.patches import pad_to_multiples


@keras.saving.register_keras_serializable("zorro_keras")
class PatchMerging(keras.layers.Layer):
    """Joins the channels of 2 x 2 neighbours, normalises them and makes half as many of them.

    Neighbours are those along the last two axes of the grid; axes before, such as time, keep their size. A
    row or column without a neighbour gets one of zeros. Neighbours come in the order first, the one below,
    the one beside, the one across.

    Args:
        epsilon: float, added to the variance in the norm.

    Call arguments:
        x: float tensor `(B, *grid, Y, X, D)`.

    Returns:
        Tensor `(B, *grid, Y / 2, X / 2, 2 D)`, rounded up.

    Raises:
        ValueError: for a grid of fewer than two axes.

    Reference:
        Swin, arXiv 2103.14030, section 3.1; the order of the neighbours is that of the official code.
    """

    def __init__(self, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, x_shape):
        if len(x_shape) < 4:
            raise ValueError(f"A grid of two axes or more is expected. Received: x.shape={tuple(x_shape)}")
        joined_shape = (*self.compute_output_shape(x_shape)[:-1], 4 * x_shape[-1])
        self.norm = keras.layers.LayerNormalization(
            epsilon=self.epsilon, dtype=self.dtype_policy, name="norm"
        )
        self.reduction = keras.layers.Dense(
            2 * x_shape[-1],
            use_bias=False,
            kernel_initializer=swin_kernel(),
            dtype=self.dtype_policy,
            name="reduction",
        )
        self.norm.build(joined_shape)
        self.reduction.build(joined_shape)

    def call(self, x):
        x = pad_to_multiples(x, (*[1] * (len(x.shape) - 4), 2, 2))
        *before, rows, columns, channels = ops.shape(x)
        x = ops.reshape(x, (-1, rows // 2, 2, columns // 2, 2, channels))
        x = ops.transpose(x, (0, 1, 3, 4, 2, 5))  # of four neighbours the rows go fastest
        x = ops.reshape(x, (-1, *before[1:], rows // 2, columns // 2, 4 * channels))
        return self.reduction(self.norm(x))

    def compute_output_shape(self, x_shape):
        *before, rows, columns, channels = x_shape
        halves = (size if size is None else -(-size // 2) for size in (rows, columns))
        return (*before, *halves, 2 * channels)

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}
