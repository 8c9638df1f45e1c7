"""The block of fusion tokens that read streams of other layers' making."""

import keras
from keras import ops

from zorro_keras.layers.attention import Attention
from zorro_keras.layers.branch_dropouts import branch_dropouts, read_and_think
from zorro_keras.layers.initializers import swin_kernel
from zorro_keras.layers.mlp import MLP


@keras.saving.register_keras_serializable("zorro_keras")
class FusionBlock(keras.layers.Layer):
    """Fusion tokens read the tokens of some sources and their own by one softmax; an MLP follows.

    Each source has a norm of its own, because each comes from a trunk of its own; keys and values are made by
    the same projections. The sources receive nothing.

    Args:
        sources: names of the sources that may be read.
        num_heads: int, heads of the attention; must divide the channels of the tokens.
        mlp_dim: int, channels inside the MLP.
        epsilon: float, added to the variance in the norms.
        stochastic_depth_rate: float in [0, 1), probability to skip a branch for a whole example.
        remat: bool, whether training recomputes the branches in the backward pass.
        seed: int, seed of the dropouts; they take four from there on.

    Call arguments:
        tokens: float tensor `(B, T, D)`.
        contexts: dict of those sources that are there to float tensor `(B, S, D)`; it may be empty.
        attention_mask: bool tensor `(B, 1, S_0 + ... + T)`, True = may be read: the contexts in the order of
            `sources`, then the tokens; `None` for everything.

    Returns:
        Tensor `(B, T, D)`.

    Raises:
        ValueError: if `num_heads` does not divide the channels, or for contexts that are no sources.

    Reference:
        Zorro, arXiv 2301.09595: the fusion row of its masked attention, on trunks that are kept apart.
    """

    def __init__(
        self,
        sources,
        num_heads,
        mlp_dim,
        epsilon=1e-5,
        stochastic_depth_rate=0.0,
        remat=False,
        seed=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.sources = tuple(sources)
        self.num_heads = num_heads
        self.mlp_dim = mlp_dim
        self.epsilon = epsilon
        self.stochastic_depth_rate = stochastic_depth_rate
        self.remat = remat
        self.seed = seed

    def build(self, tokens_shape, contexts_shape=None):
        channels, policy, kernel = tokens_shape[-1], self.dtype_policy, swin_kernel()
        if channels % self.num_heads:
            raise ValueError(
                "`num_heads` must divide the channels of the tokens. "
                f"Received: num_heads={self.num_heads}, channels={channels}"
            )
        self.attention_norm = self._norm("attention_norm", tokens_shape)
        self.source_norms = {name: self._norm(f"{name}_norm", tokens_shape) for name in self.sources}
        self.attention = Attention(
            self.num_heads,
            channels // self.num_heads,
            kernel_initializer=kernel,
            dtype=policy,
            name="attention",
        )
        self.mlp_norm = self._norm("mlp_norm", tokens_shape)
        self.mlp = MLP(self.mlp_dim, kernel_initializer=kernel, dtype=policy, name="mlp")
        rates, rank = (0.0, self.stochastic_depth_rate), len(tokens_shape)
        self.dropouts = [branch_dropouts(branch, rank, *rates, self.seed, policy) for branch in range(2)]
        self.attention.build(tokens_shape)
        self.mlp.build(tokens_shape)

    def call(self, tokens, contexts, attention_mask=None, training=None):
        if unknown := sorted(set(contexts) - set(self.sources)):
            raise ValueError(f"`contexts` must be of {list(self.sources)}. Received: unknown {unknown}")
        present = [name for name in self.sources if name in contexts]

        def read(tokens, *contexts):
            normed = self.attention_norm(tokens)
            parts = [self.source_norms[name](x) for name, x in zip(present, contexts, strict=True)]
            context = ops.concatenate([*parts, normed], axis=1)  # B S D
            return self.attention(normed, context, attention_mask=attention_mask)

        def think(tokens):
            return self.mlp(self.mlp_norm(tokens))

        context = tuple(contexts[name] for name in present)
        return read_and_think(tokens, read, think, self.dropouts, self.remat, training, context)

    def _norm(self, name, shape):
        norm = keras.layers.LayerNormalization(epsilon=self.epsilon, dtype=self.dtype_policy, name=name)
        norm.build(shape)
        return norm

    def compute_output_spec(self, tokens, contexts, attention_mask=None, training=None):
        return keras.KerasTensor(tokens.shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "sources": list(self.sources),
            "num_heads": self.num_heads,
            "mlp_dim": self.mlp_dim,
            "epsilon": self.epsilon,
            "stochastic_depth_rate": self.stochastic_depth_rate,
            "remat": self.remat,
            "seed": self.seed,
        }
