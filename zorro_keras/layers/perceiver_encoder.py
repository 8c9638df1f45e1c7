"""The encoder of Perceiver IO: latents read the input once, then think among themselves."""

import keras

from zorro_keras.layers.activations import gelu_tanh
from zorro_keras.layers.block_stack import in_turn
from zorro_keras.layers.cross_attention_block import CrossAttentionBlock
from zorro_keras.layers.initializers import attention_kernel
from zorro_keras.layers.kernels import repeated
from zorro_keras.layers.learned_array import LearnedArray
from zorro_keras.layers.transformer_block import TransformerBlock


@keras.saving.register_keras_serializable("zorro_keras")
class PerceiverEncoder(keras.layers.Layer):
    """Learned latents, one cross-attention to the input, and a stack of self-attention that may repeat.

    Its cost is linear in the length of the input, and its depth costs the same whatever the input is.

    Args:
        num_latents: int, L, number of latents.
        latent_dim: int, D, channels of a latent.
        num_layers: int, self-attention blocks of the stack, each with weights of its own.
        num_repeats: int, times that the stack is run, with the same weights.
        num_heads: int, heads of the self-attention.
        num_cross_heads: int, heads of the cross-attention.
        query_key_dim: int, channels of queries and keys, all heads together; `None` for those of the input in
            the cross-attention, and of the latents in the self-attention.
        value_dim: int, channels of values, all heads together; `None` for `query_key_dim` in the
            cross-attention, and for the latents' in the self-attention.
        mlp_dim: int, channels inside the MLPs of the stack; `None` for `latent_dim`.
        cross_mlp_dim: int, channels inside the MLP of the cross-attention; `None` for `latent_dim`.
        activation: name or callable inside the MLPs.
        epsilon: float, added to the variance in the norms.
        dropout_rate: float in [0, 1), probability to drop a channel of a branch's result.
        key_chunk: int, input elements that the cross-attention reads at a time; `None` for all. The result is
            the same up to rounding, and no array of L times the input's length exists.
        remat: bool, whether training recomputes each branch in the backward pass.
        seed: int, seed of the dropouts.
        attention_dropout_rate: float in [0, 1), probability to drop a weight of an attention.

    Call arguments:
        elements: float tensor `(B, M, C)`.
        attention_mask: bool tensor `(B, M)` or `(B, 1)`, True = may be read; `None` for everything.

    Returns:
        Tensor `(B, L, D)`.

    Raises:
        ValueError: for sizes that are not positive, or widths that the heads do not divide.

    Reference:
        Perceiver IO, arXiv 2107.14795, section 3.1 and appendix E.
    """

    def __init__(
        self,
        num_latents,
        latent_dim,
        num_layers,
        num_repeats=1,
        num_heads=8,
        num_cross_heads=1,
        query_key_dim=None,
        value_dim=None,
        mlp_dim=None,
        cross_mlp_dim=None,
        activation=gelu_tanh,
        epsilon=1e-5,
        dropout_rate=0.0,
        key_chunk=None,
        remat=False,
        seed=0,
        attention_dropout_rate=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        sizes = {
            "num_latents": num_latents,
            "latent_dim": latent_dim,
            "num_layers": num_layers,
            "num_repeats": num_repeats,
            "key_chunk": key_chunk,
        }
        for argument, size in sizes.items():
            if size is not None and size < 1:
                raise ValueError(f"`{argument}` must be positive. Received: {argument}={size}")
        self.num_latents = num_latents
        self.latent_dim = latent_dim
        self.num_layers = num_layers
        self.num_repeats = num_repeats
        self.num_heads = num_heads
        self.num_cross_heads = num_cross_heads
        self.query_key_dim = query_key_dim
        self.value_dim = value_dim
        self.mlp_dim = mlp_dim
        self.cross_mlp_dim = cross_mlp_dim
        self.activation = keras.activations.get(activation)
        self.epsilon = epsilon
        self.dropout_rate = dropout_rate
        self.key_chunk = key_chunk
        self.remat = remat
        self.seed = seed
        self.attention_dropout_rate = attention_dropout_rate

    @staticmethod
    def num_seeds(num_layers):
        """Returns how many seeds, from `seed` on, the dropouts of an encoder take."""
        return 2 + 4 * num_layers

    def build(self, elements_shape):
        shared = {
            "query_key_dim": self.query_key_dim,
            "value_dim": self.value_dim,
            "activation": self.activation,
            "epsilon": self.epsilon,
            "kernel_initializer": attention_kernel(),
            "dropout_rate": self.dropout_rate,
            "attention_dropout_rate": self.attention_dropout_rate,
            "remat": self.remat,
            "dtype": self.dtype_policy,
        }
        latents_shape = (None, self.num_latents, self.latent_dim)
        self.latents = LearnedArray(
            self.num_latents, self.latent_dim, dtype=self.dtype_policy, name="latents"
        )
        self.latents.build(elements_shape)
        self.cross_attention = CrossAttentionBlock(
            self.num_cross_heads,
            mlp_dim=self.cross_mlp_dim or self.latent_dim,
            key_chunk=self.key_chunk,
            seed=self.seed,
            name="cross_attention",
            **shared,
        )
        self.cross_attention.build(latents_shape, elements_shape)
        self.blocks = []
        for layer in range(self.num_layers):
            mlp_dim, seed = self.mlp_dim or self.latent_dim, self.seed + self.num_seeds(layer)
            block = TransformerBlock(self.num_heads, mlp_dim, seed=seed, name=f"block_{layer}", **shared)
            block.build(latents_shape)
            self.blocks.append(block)

    def call(self, elements, attention_mask=None, training=None):
        mask = None if attention_mask is None else attention_mask[:, None]  # B 1 M
        latents = self.cross_attention(
            self.latents(elements), elements, attention_mask=mask, training=training
        )

        if self.num_repeats == 1:
            return in_turn(self.blocks, latents, training=training)

        def think(latents):
            for block in self.blocks:
                latents = block(latents, training=training)
            return latents

        draws = training and max(self.dropout_rate, self.attention_dropout_rate) > 0
        return repeated(think, self.num_repeats, latents, draws)

    def set_key_chunk(self, key_chunk):
        """Reads so many elements at a time from now on; `None` for all.

        What is compiled already goes on as before.

        Raises:
            ValueError: for a chunk that is not positive.
        """
        if key_chunk is not None and key_chunk < 1:
            raise ValueError(f"`key_chunk` must be positive or None. Received: key_chunk={key_chunk}")
        self.key_chunk = key_chunk
        if self.built:
            self.cross_attention.key_chunk = self.cross_attention.attention.key_chunk = key_chunk

    def compute_output_spec(self, elements, attention_mask=None, training=None):
        shape = (elements.shape[0], self.num_latents, self.latent_dim)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "num_latents": self.num_latents,
            "latent_dim": self.latent_dim,
            "num_layers": self.num_layers,
            "num_repeats": self.num_repeats,
            "num_heads": self.num_heads,
            "num_cross_heads": self.num_cross_heads,
            "query_key_dim": self.query_key_dim,
            "value_dim": self.value_dim,
            "mlp_dim": self.mlp_dim,
            "cross_mlp_dim": self.cross_mlp_dim,
            "activation": keras.activations.serialize(self.activation),
            "epsilon": self.epsilon,
            "dropout_rate": self.dropout_rate,
            "key_chunk": self.key_chunk,
            "remat": self.remat,
            "seed": self.seed,
            "attention_dropout_rate": self.attention_dropout_rate,
        }
