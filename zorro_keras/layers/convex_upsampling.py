"""From answers on a coarse grid to a fine picture, by learned convex combinations."""

import keras
from keras import ops

from zorro_keras.layers.initializers import fan_in_kernel
from zorro_keras.layers.last_layer import last_policy
from zorro_keras.layers.picture_head import as_picture

NEIGHBOURS = 9  # of a coarse cell: 3 x 3, itself in the middle


@keras.saving.register_keras_serializable("zorro_keras")
class ConvexUpsampling(keras.layers.Layer):
    """Makes every fine pixel a weighted mean of what the 3 x 3 coarse cells around it say.

    A linear layer reads the coarse values out of the answers; it starts at zero. An MLP of one hidden layer
    reads the weights out of the same answers, `9 * step * step` of each cell: a softmax over the cell's nine
    neighbours for each of its pixels. RAFT reads them by a 3 x 3 convolution; here every answer has seen the
    whole picture already. Their logits are divided by 4, as in RAFT, to balance the gradients. Beyond the
    border the nearest cell is repeated, so that a constant stays one.

    Args:
        step: int, fine pixels along each side of a coarse cell.
        output_dim: int, channels of the result, such as 2 of a flow.
        hidden_dim: int, channels inside the MLP.
        scale: float, what the coarse values are multiplied with.
        float32_output: bool, whether coarse and fine values are float32 whatever the MLP computes in.

    Call arguments:
        answers: float tensor `(B, O, E)`.
        grid: tuple of the sizes of the grid that asked, rows and columns last, O in all.
        size: rows and columns of the picture, Y and X, at most `step` times the grid's: what a cell has
            beyond them is cut off.

    Returns:
        Tensor `(B, Y, X, output_dim)`.

    Raises:
        ValueError: for sizes that are not positive, or single queries, which have no neighbours.

    Reference:
        RAFT, arXiv 2003.12039, section 3.3 and its code; Perceiver IO, arXiv 2107.14795, appendix on optical
        flow, which does not describe the weights.
    """

    def __init__(self, step=4, output_dim=2, hidden_dim=128, scale=1.0, float32_output=False, **kwargs):
        super().__init__(**kwargs)
        sizes = {"step": step, "output_dim": output_dim, "hidden_dim": hidden_dim}
        if min(sizes.values()) < 1:
            raise ValueError(f"`step`, `output_dim` and `hidden_dim` must be positive. Received: {sizes}")
        self.step = step
        self.output_dim = output_dim
        self.hidden_dim = hidden_dim
        self.scale = scale
        self.float32_output = float32_output

    @property
    def output_policy(self):
        return last_policy(self.dtype_policy, self.float32_output)

    def build(self, answers_shape):
        widths = {"values": self.output_dim, "hidden": self.hidden_dim, "weights": NEIGHBOURS * self.step**2}
        self.values_dense, self.hidden_dense, self.weights_dense = (
            keras.layers.Dense(
                units,
                activation="relu" if name == "hidden" else None,
                kernel_initializer="zeros" if name == "values" else fan_in_kernel(),
                dtype=self.output_policy if name == "values" else self.dtype_policy,
                name=name,
            )
            for name, units in widths.items()
        )
        answers_shape = (None, None, answers_shape[-1])
        self.values_dense.build(answers_shape)
        self.hidden_dense.build(answers_shape)
        self.weights_dense.build((None, None, self.hidden_dim))

    def call(self, answers, grid=None, size=None):
        if grid is None:
            raise ValueError("A fine pixel needs the coarse ones around it. Received: single queries")
        values = as_picture(self.values_dense(answers), grid)
        values = values * ops.cast(self.scale, values.dtype)
        logits = as_picture(self.weights_dense(self.hidden_dense(answers)), grid) / 4
        fine = upsample(values, logits, self.step)
        return fine if size is None else fine[:, : size[0], : size[1]]

    def compute_output_spec(self, answers, grid=None, size=None):
        if size is None:
            size = (None, None) if grid is None else (_times(cells, self.step) for cells in grid[-2:])
        dtype = self.output_policy.compute_dtype
        return keras.KerasTensor((answers.shape[0], *size, self.output_dim), dtype=dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "step": self.step,
            "output_dim": self.output_dim,
            "hidden_dim": self.hidden_dim,
            "scale": self.scale,
            "float32_output": self.float32_output,
        }


def upsample(values, logits, step):
    """Returns the fine picture `(B, Y * step, X * step, C)`.

    Args:
        values: float tensor `(B, Y, X, C)`, what each coarse cell says.
        logits: float tensor `(B, Y, X, 9 * step * step)`, in the order neighbour, fine row, fine column; the
            neighbours row by row. Their softmax is computed in float32.
        step: int, fine pixels along each side of a coarse cell.
    """
    height, width, channels = *ops.shape(values)[1:3], values.shape[-1]
    padded = ops.concatenate([values[:, :1], values, values[:, -1:]], axis=1)
    padded = ops.concatenate([padded[:, :, :1], padded, padded[:, :, -1:]], axis=2)
    neighbours = [
        padded[:, row : row + height, column : column + width] for row in range(3) for column in range(3)
    ]
    neighbours = ops.stack(neighbours, axis=4)  # B Y X C 9
    logits = ops.reshape(logits, (-1, height, width, NEIGHBOURS, step**2))
    weights = ops.cast(ops.softmax(ops.cast(logits, "float32"), axis=3), values.dtype)
    fine = ops.reshape(ops.matmul(neighbours, weights), (-1, height, width, channels, step, step))
    fine = ops.transpose(fine, (0, 1, 4, 2, 5, 3))  # B Y step X step C
    return ops.reshape(fine, (-1, height * step, width * step, channels))


def _times(cells, step):
    return None if cells is None else cells * step
