"""Answers to the elements of a picture, laid out as that picture."""

import keras
from keras import ops

from zorro_keras.layers.last_layer import last_policy


@keras.saving.register_keras_serializable("zorro_keras")
class PictureHead(keras.layers.Layer):
    """Scales the answers and gives them the rows and columns of the picture whose elements asked.

    Args:
        scale: float, what answers are multiplied with. The published optical flow is answered in hundredths
            of its unit, which helped early training.
        float32_output: bool, whether answers stay, or become, float32 whatever the other layers compute in.

    Call arguments:
        answers: float tensor `(B, O, E)`.
        grid: tuple of the sizes of the grid that asked, rows and columns last, O in all; `None` where single
            queries were asked.
        size: rows and columns of the picture, which are those of the grid.

    Returns:
        Tensor `(B, Y, X, E)`, or `(B, O, E)` without a grid.

    Reference:
        Perceiver IO, arXiv 2107.14795, appendix on optical flow.
    """

    def __init__(self, scale=1.0, float32_output=False, **kwargs):
        super().__init__(autocast=False, **kwargs)  # `call` casts: Keras would round before it
        self.scale = scale
        self.float32_output = float32_output

    @property
    def output_dtype(self):
        return last_policy(self.dtype_policy, self.float32_output).compute_dtype

    def call(self, answers, grid=None, size=None):
        answers = ops.cast(answers, self.output_dtype)
        answers = answers * ops.cast(self.scale, answers.dtype)
        return answers if grid is None else as_picture(answers, grid)

    def compute_output_spec(self, answers, grid=None, size=None):
        shape = answers.shape if grid is None else (answers.shape[0], *grid[-2:], answers.shape[-1])
        return keras.KerasTensor(shape, dtype=self.output_dtype)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale, "float32_output": self.float32_output}


def as_picture(answers, grid):
    """Returns answers `(B, O, E)` as `(B, Y, X, E)`, Y and X the last two sizes of a grid of O elements."""
    return ops.reshape(answers, (-1, *grid[-2:], answers.shape[-1]))
