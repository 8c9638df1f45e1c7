"""The pre-norm transformer block, over one stream or over many routed ones."""

import keras

from zorro_keras.layers.attention import Attention
from zorro_keras.layers.branch_dropouts import attention_seed, branch_dropouts, read_and_think
from zorro_keras.layers.kernels import computed_once
from zorro_keras.layers.mlp import MLP


@keras.saving.register_keras_serializable("zorro_keras")
class TransformerBlock(keras.layers.Layer):
    """Attention and MLP, each normalised before and added after.

    Norms, projections and MLP treat every token alone, so tokens mix only along the plan of reads.

    Args:
        num_heads: int, heads of the attention; must divide the channels of the tokens.
        mlp_dim: int, channels inside the MLP.
        query_key_dim: int, channels of queries and keys, all heads together; `None` for the tokens'.
        value_dim: int, channels of values, all heads together; `None` for the tokens'.
        activation: name or callable inside the MLP.
        epsilon: float, added to the variance in both norms.
        kernel_initializer: initializer of the kernels of attention and MLP; `None` for Glorot uniform.
        dropout_rate: float in [0, 1), probability to drop a channel of a branch's result.
        stochastic_depth_rate: float in [0, 1), probability to skip a branch for a whole example.
        remat: bool, whether training recomputes the branches in the backward pass instead of keeping their
            intermediate results: less memory, about a third more time. Attention with dropout is kept.
        seed: int, seed of the dropouts.
        attention_dropout_rate: float in [0, 1), probability to drop a weight of the attention.

    Call arguments:
        tokens: float tensor `(B, T, D)`.
        plan: `ReadPlan` of T queries and M + T keys; `None` lets all tokens read all.
        attention_mask: bool tensor `(B, 1, M + T)`, True = may be read.
        memory: keys and values of M tokens computed before, see `Attention`.
        skip_rate: scalar tensor that replaces `stochastic_depth_rate`, where that is not 0.

    Returns:
        Tensor `(B, T, D)`.

    Reference:
        ViT, arXiv 2010.11929, section 3.1; stochastic depth, arXiv 1603.09382.
    """

    def __init__(
        self,
        num_heads,
        mlp_dim,
        query_key_dim=None,
        value_dim=None,
        activation="gelu",
        epsilon=1e-6,
        kernel_initializer=None,
        dropout_rate=0.0,
        stochastic_depth_rate=0.0,
        remat=False,
        seed=0,
        attention_dropout_rate=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.mlp_dim = mlp_dim
        self.query_key_dim = query_key_dim
        self.value_dim = value_dim
        self.activation = keras.activations.get(activation)
        self.epsilon = epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.dropout_rate = dropout_rate
        self.stochastic_depth_rate = stochastic_depth_rate
        self.remat = remat
        self.seed = seed
        self.attention_dropout_rate = attention_dropout_rate

    def build(self, tokens_shape):
        query_key_dim = self.query_key_dim or tokens_shape[-1]
        value_dim = self.value_dim or tokens_shape[-1]
        if query_key_dim % self.num_heads or value_dim % self.num_heads:
            raise ValueError(
                "`num_heads` must divide `query_key_dim` and `value_dim`, by default the tokens' channels. "
                f"Received: num_heads={self.num_heads}, channels={query_key_dim} and {value_dim}"
            )
        policy = self.dtype_policy
        self.attention_norm = keras.layers.LayerNormalization(
            epsilon=self.epsilon, dtype=policy, name="attention_norm"
        )
        self.attention = Attention(
            self.num_heads,
            head_dim=query_key_dim // self.num_heads,
            value_head_dim=value_dim // self.num_heads,
            dropout_rate=self.attention_dropout_rate,
            kernel_initializer=self.kernel_initializer,
            seed=attention_seed(self.seed),
            dtype=policy,
            name="attention",
        )
        self.mlp_norm = keras.layers.LayerNormalization(epsilon=self.epsilon, dtype=policy, name="mlp_norm")
        self.mlp = MLP(self.mlp_dim, self.activation, self.kernel_initializer, dtype=policy, name="mlp")
        rates = (self.dropout_rate, self.stochastic_depth_rate)
        self.dropouts = [branch_dropouts(branch, 3, *rates, self.seed, policy) for branch in range(2)]
        for layer in (self.attention_norm, self.attention, self.mlp_norm, self.mlp):
            layer.build(tokens_shape)

    def call(self, tokens, plan=None, attention_mask=None, memory=None, skip_rate=None, training=None):
        def read(tokens):
            return self._read(tokens, plan, attention_mask, memory, training)[0]

        def think(tokens):
            return self.mlp(self.mlp_norm(tokens))

        return read_and_think(
            tokens,
            read,
            think,
            self.dropouts,
            self.remat,
            training,
            skip_rate=skip_rate,
            draws=bool(self.attention_dropout_rate),
        )

    def step(self, tokens, plan=None, attention_mask=None, memory=None):
        """Returns the tokens `(B, T, D)` as `call` does, and the keys and values that they were read by."""
        read, memory = self._read(tokens, plan, attention_mask, memory)
        tokens = tokens + read
        return computed_once(tokens + self.mlp(self.mlp_norm(tokens))), memory

    def _read(self, tokens, plan, attention_mask, memory, training=None):
        normed = self.attention_norm(tokens)
        key, value = self.attention.keys_and_values(normed, memory)
        return self.attention.read(normed, key, value, plan, attention_mask, training), (key, value)

    def compute_output_spec(self, tokens, *args, **kwargs):
        return keras.KerasTensor(tokens.shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "mlp_dim": self.mlp_dim,
            "query_key_dim": self.query_key_dim,
            "value_dim": self.value_dim,
            "activation": keras.activations.serialize(self.activation),
            "epsilon": self.epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "dropout_rate": self.dropout_rate,
            "stochastic_depth_rate": self.stochastic_depth_rate,
            "remat": self.remat,
            "seed": self.seed,
            "attention_dropout_rate": self.attention_dropout_rate,
        }
