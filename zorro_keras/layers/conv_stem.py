"""Convolutions that make a picture smaller before attention sees it."""

import keras
from keras import ops

from zorro_keras.layers.initializers import fan_in_kernel

CONVOLUTION, POOL = 7, 3  # elements along each side
SEMANTICS = ("deepmind", "hugging_face")


@keras.saving.register_keras_serializable("zorro_keras")
class ConvStem(keras.layers.Layer):
    """Stages of 7 x 7 convolution, batch norm, ReLU and 3 x 3 max pooling, each 4 times smaller.

    Args:
        embed_dim: int, channels of every convolution.
        num_layers: int, number of stages.
        frame_step: int, of a clip only every so many frames are looked at.
        semantics: "deepmind" or "hugging_face", whose padding to follow.

    Call arguments:
        x: float tensor `(B, Y, X, C)`, or `(B, F, Y, X, C)` for frames that are treated alone.

    Returns:
        Tensor `(B, Y / 4**num_layers, X / 4**num_layers, embed_dim)`, rounded up, with an axis F / frame_step
        in front where there were frames. Hugging Face's padding gives a row and a column less.

    Raises:
        ValueError: for unknown semantics, or a size that is not positive.

    Reference:
        Perceiver IO, arXiv 2107.14795, section 4.5 and appendix A: the third ImageNet model.
    """

    def __init__(self, embed_dim, num_layers=1, frame_step=1, semantics="deepmind", **kwargs):
        super().__init__(**kwargs)
        if min(embed_dim, num_layers, frame_step) < 1:
            raise ValueError(
                "`embed_dim`, `num_layers` and `frame_step` must be positive. "
                f"Received: embed_dim={embed_dim}, num_layers={num_layers}, frame_step={frame_step}"
            )
        if semantics not in SEMANTICS:
            raise ValueError(f"`semantics` must be one of {list(SEMANTICS)}. Received: {semantics!r}")
        self.embed_dim = embed_dim
        self.num_layers = num_layers
        self.frame_step = frame_step
        self.semantics = semantics

    def build(self, x_shape):
        policy, channels = self.dtype_policy, x_shape[-1]
        self.convolutions, self.norms = [], []
        for layer in range(self.num_layers):
            convolution = keras.layers.Conv2D(
                self.embed_dim,
                CONVOLUTION,
                strides=2,
                use_bias=False,
                kernel_initializer=fan_in_kernel(),
                dtype=policy,
                name=f"convolution_{layer}",
            )
            norm = keras.layers.BatchNormalization(
                momentum=0.9, epsilon=1e-5, dtype=policy, name=f"norm_{layer}"
            )
            convolution.build((None, None, None, channels if layer == 0 else self.embed_dim))
            norm.build((None, None, None, self.embed_dim))
            self.convolutions.append(convolution)
            self.norms.append(norm)

    def call(self, x, training=None):
        frames = None
        if len(x.shape) == 5:
            x = x[:, :: self.frame_step]
            frames = ops.shape(x)[1]
            x = ops.reshape(x, (-1, *ops.shape(x)[2:]))
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = convolution(self._pad(x, CONVOLUTION))
            x = ops.relu(norm(x, training=training))
            # After a ReLU nothing is below zero: zeros at the border are as good as minus infinity.
            x = ops.max_pool(self._pad(x, POOL), POOL, 2, padding="valid")
        return x if frames is None else ops.reshape(x, (-1, frames, *ops.shape(x)[1:]))

    def compute_output_shape(self, x_shape):
        frames = tuple(size if size is None else -(-size // self.frame_step) for size in x_shape[1:-3])
        return (x_shape[0], *frames, *(self._size(size) for size in x_shape[-3:-1]), self.embed_dim)

    def _size(self, size):
        if size is None:
            return None
        for _ in range(self.num_layers):
            for kernel in (CONVOLUTION, POOL):
                size = (size + sum(_padding(self.semantics, kernel, size)) - kernel) // 2 + 1
        return size

    def _pad(self, x, kernel):
        sides = (_padding(self.semantics, kernel, size) for size in ops.shape(x)[1:3])
        return ops.pad(x, ((0, 0), *sides, (0, 0)), constant_values=0)

    def get_config(self):
        return {
            **super().get_config(),
            "embed_dim": self.embed_dim,
            "num_layers": self.num_layers,
            "frame_step": self.frame_step,
            "semantics": self.semantics,
        }


def _padding(semantics, kernel, size):
    """Returns how many zeros go before and after an axis that a kernel walks in steps of 2.

    DeepMind's are TensorFlow's SAME: so many that each step has an element, the odd one after. Hugging Face's
    are fixed and give 55 x 55 where DeepMind's give 56 x 56.
    """
    if semantics == "hugging_face":
        return (3, 3) if kernel == CONVOLUTION else (0, 0)
    both = kernel - 2 + size % 2
    return both // 2, both - both // 2
