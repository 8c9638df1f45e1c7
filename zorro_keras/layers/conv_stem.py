"""Convolutions that make a picture smaller before attention sees it."""

import math

import keras
from keras import ops

from zorro_keras.layers.initializers import fan_in_kernel

# Where the published implementations put zeros: before and after, for the convolution and for the pooling.
# DeepMind's are those of SAME at even sizes; Hugging Face's give 55 x 55 where DeepMind's give 56 x 56.
PADDINGS = {"deepmind": ((2, 3), (0, 1)), "hugging_face": ((3, 3), (0, 0))}


@keras.saving.register_keras_serializable("zorro_keras")
class ConvStem(keras.layers.Layer):
    """Stages of 7 x 7 convolution, batch norm, ReLU and 3 x 3 max pooling, each 4 times smaller.

    Args:
        dim: int, channels of every convolution.
        num_layers: int, number of stages.
        semantics: "deepmind" or "hugging_face", whose padding to follow.

    Call arguments:
        x: float tensor `(B, Y, X, C)`, or `(B, F, Y, X, C)` for frames that are treated alone.

    Returns:
        Tensor `(B, Y / 4**num_layers, X / 4**num_layers, dim)`, with the axis F where there was one.

    Reference:
        Perceiver IO, arXiv 2107.14795, section 4.5 and appendix A: the third ImageNet model.
    """

    def __init__(self, dim, num_layers=1, semantics="deepmind", **kwargs):
        super().__init__(**kwargs)
        if semantics not in PADDINGS:
            raise ValueError(f"`semantics` must be one of {list(PADDINGS)}. Received: {semantics!r}")
        self.dim = dim
        self.num_layers = num_layers
        self.semantics = semantics

    def build(self, x_shape):
        policy, channels = self.dtype_policy, x_shape[-1]
        self.convolutions, self.norms = [], []
        for layer in range(self.num_layers):
            convolution = keras.layers.Conv2D(
                self.dim,
                7,
                strides=2,
                use_bias=False,
                kernel_initializer=fan_in_kernel(),
                dtype=policy,
                name=f"convolution_{layer}",
            )
            norm = keras.layers.BatchNormalization(
                momentum=0.9, epsilon=1e-5, dtype=policy, name=f"norm_{layer}"
            )
            convolution.build((None, None, None, channels if layer == 0 else self.dim))
            norm.build((None, None, None, self.dim))
            self.convolutions.append(convolution)
            self.norms.append(norm)

    def call(self, x, training=None):
        shape = x.shape
        x = ops.reshape(x, (-1, *shape[-3:]))
        convolution_padding, pool_padding = PADDINGS[self.semantics]
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = convolution(_pad(x, convolution_padding, 0))
            x = ops.relu(norm(x, training=training))
            # After a ReLU nothing is below zero: zeros at the border are as good as minus infinity.
            x = ops.max_pool(_pad(x, pool_padding, 0), 3, 2, padding="valid")
        return ops.reshape(x, (-1, *shape[1:-3], *x.shape[1:]))

    def compute_output_shape(self, x_shape):
        return (*x_shape[:-3], *(self._size(size) for size in x_shape[-3:-1]), self.dim)

    def _size(self, size):
        for _ in range(self.num_layers):
            for padding, kernel in zip(PADDINGS[self.semantics], (7, 3), strict=True):
                size = (size + sum(padding) - kernel) // 2 + 1
        return size

    def get_config(self):
        return {
            **super().get_config(),
            "dim": self.dim,
            "num_layers": self.num_layers,
            "semantics": self.semantics,
        }


def stages(patch):
    """Returns how many stages shrink an image by the patch `(..., rows, columns)`: log4 of its size.

    Raises:
        ValueError: unless rows and columns are the same power of four.
    """
    rows, columns = patch[-2:]
    num_layers = round(math.log(max(rows, 1), 4))
    if rows != columns or 4**num_layers != rows:
        raise ValueError(
            "A convolutional stem needs a patch of the same power of four on rows and columns. "
            f"Received: {patch}"
        )
    return num_layers


def _pad(x, padding, value):
    return ops.pad(x, ((0, 0), padding, padding, (0, 0)), constant_values=value)
