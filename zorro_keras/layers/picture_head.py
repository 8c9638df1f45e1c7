"""Answers to the elements of a picture, laid out as that picture."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("zorro_keras")
class PictureHead(keras.layers.Layer):
    """Scales the answers and gives them the rows and columns of the picture whose elements asked.

    Args:
        scale: float, what answers are multiplied with. The published optical flow is answered in hundredths
            of its unit, which helped early training.

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

    def __init__(self, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, answers, grid=None, size=None):
        answers = answers * ops.cast(self.scale, answers.dtype)
        return answers if grid is None else as_picture(answers, grid)

    def compute_output_spec(self, answers, grid=None, size=None):
        shape = answers.shape if grid is None else (answers.shape[0], *grid[-2:], answers.shape[-1])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


def as_picture(answers, grid):
    """Returns answers `(B, O, E)` as `(B, Y, X, E)`, Y and X the last two sizes of a grid of O elements."""
    return ops.reshape(answers, (-1, *grid[-2:], answers.shape[-1]))
