"""The pre-norm transformer block on a grid, whose tokens read their window."""

import keras

from zorro_keras.layers.branch_dropouts import branch_dropouts, read_and_think
from zorro_keras.layers.initializers import swin_kernel
from zorro_keras.layers.mlp import MLP
from zorro_keras.layers.window_attention import WindowAttention


@keras.saving.register_keras_serializable("zorro_keras")
class SwinBlock(keras.layers.Layer):
    """Window attention and MLP, each normalised before and added after.

    Args:
        num_heads: int, heads of the attention; must divide the channels of the tokens.
        mlp_dim: int, channels inside the MLP.
        window: tuple of int, the largest window along each axis of the grid.
        shifted: bool, whether the windows lie half a window further: every other block's do.
        read_padding: bool, see `WindowAttention`.
        slice_index: bool, see `WindowAttention`.
        epsilon: float, added to the variance in both norms.
        stochastic_depth_rate: float in [0, 1), probability to skip a branch for a whole example.
        remat: bool, whether training recomputes the branches in the backward pass instead of keeping their
            intermediate results.
        seed: int, seed of the dropouts; they take four from there on.

    Call arguments:
        x: float tensor `(B, *grid, D)`.

    Returns:
        Tensor `(B, *grid, D)`.

    Reference:
        Swin, arXiv 2103.14030, equation 3; Video Swin, arXiv 2106.13230, equation 1.
    """

    def __init__(
        self,
        num_heads,
        mlp_dim,
        window,
        shifted=False,
        read_padding=False,
        slice_index=False,
        epsilon=1e-5,
        stochastic_depth_rate=0.0,
        remat=False,
        seed=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.mlp_dim = mlp_dim
        self.window = tuple(window)
        self.shifted = shifted
        self.read_padding = read_padding
        self.slice_index = slice_index
        self.epsilon = epsilon
        self.stochastic_depth_rate = stochastic_depth_rate
        self.remat = remat
        self.seed = seed

    def build(self, x_shape):
        policy, kernel = self.dtype_policy, swin_kernel()
        self.attention_norm = keras.layers.LayerNormalization(
            epsilon=self.epsilon, dtype=policy, name="attention_norm"
        )
        self.attention = WindowAttention(
            self.num_heads,
            self.window,
            self.shifted,
            self.read_padding,
            self.slice_index,
            kernel_initializer=kernel,
            dtype=policy,
            name="attention",
        )
        self.mlp_norm = keras.layers.LayerNormalization(epsilon=self.epsilon, dtype=policy, name="mlp_norm")
        self.mlp = MLP(self.mlp_dim, kernel_initializer=kernel, dtype=policy, name="mlp")
        rates, rank = (0.0, self.stochastic_depth_rate), len(x_shape)
        self.dropouts = [branch_dropouts(branch, rank, *rates, self.seed, policy) for branch in range(2)]
        for layer in (self.attention_norm, self.attention, self.mlp_norm, self.mlp):
            layer.build(x_shape)

    def call(self, x, training=None):
        def read(x):
            return self.attention(self.attention_norm(x))

        def think(x):
            return self.mlp(self.mlp_norm(x))

        return read_and_think(x, read, think, self.dropouts, self.remat, training)

    def compute_output_spec(self, x, training=None):
        return keras.KerasTensor(x.shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "mlp_dim": self.mlp_dim,
            "window": list(self.window),
            "shifted": self.shifted,
            "read_padding": self.read_padding,
            "slice_index": self.slice_index,
            "epsilon": self.epsilon,
            "stochastic_depth_rate": self.stochastic_depth_rate,
            "remat": self.remat,
            "seed": self.seed,
        }
