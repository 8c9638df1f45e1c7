"""One level of HiP: in every group, latents read the group's elements and think among themselves."""

import keras
from keras import ops

from zorro_keras.layers.activations import squared_relu
from zorro_keras.layers.cross_attention_block import CrossAttentionBlock
from zorro_keras.layers.groups import draw_places
from zorro_keras.layers.initializers import attention_kernel, table_stddev
from zorro_keras.layers.learned_array import LearnedArray
from zorro_keras.layers.transformer_block import TransformerBlock

MLP_WIDENING = 4  # of the self-attention; the MLP after the cross-attention is as wide as the latents


@keras.saving.register_keras_serializable("zorro_keras")
class HierarchicalBlock(keras.layers.Layer):
    """A Perceiver in each group: cross-attention to the group's elements, then self-attention layers.

    Groups share all weights but their latents. As they are folded into the batch, nothing crosses from one to
    another, and no mask is needed to keep them apart.

    Args:
        num_groups: int, G.
        num_latents: int, K, latents of each group.
        hidden_dim: int, D, channels of a latent.
        num_layers: int, self-attention layers.
        num_heads: int, heads of the self-attention; the cross-attention has one.
        num_train_latents: int, so many of the latents are drawn at random in training, for each group of each
            example; `None` for all. The number of latents of a call is then free afterwards.
        dropout_rate: float in [0, 1), probability to drop a channel of a branch's result.
        stochastic_depth_rate: float in [0, 1), probability to skip a branch of a self-attention layer, for a
            whole group of an example.
        remat: bool, whether training recomputes each branch in the backward pass.
        seed: int, seed of the dropouts and of the drawn latents.

    Call arguments:
        elements: float tensor `(B, G, N, C)`.
        skip: float tensor `(B, G, K, E)` that is added to the latents before they read, through a linear
            layer where E is not D; `None` for none.
        attention_mask: bool tensor `(B, G, N)` or `(1, G, N)`, True = may be read; `None` for everything.
        num_latents: int, only the first so many latents of each group take part; `None` for all, or in
            training for `num_train_latents`.

    Returns:
        Tensor `(B, G, K, D)`. Latents of a group that may read nothing still think among themselves.

    Raises:
        ValueError: for sizes that are not positive, other groups, or another number of latents with a skip.

    Reference:
        HiP, arXiv 2202.10890; formulas of the published code, which skips a branch for a whole example and
        does not divide by the probability to keep it. We divide, as everywhere.
    """

    def __init__(
        self,
        num_groups,
        num_latents,
        hidden_dim,
        num_layers,
        num_heads,
        num_train_latents=None,
        dropout_rate=0.0,
        stochastic_depth_rate=0.0,
        remat=False,
        seed=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        sizes = {"num_groups": num_groups, "num_latents": num_latents, "num_layers": num_layers}
        for argument, size in sizes.items():
            if size < 1:
                raise ValueError(f"`{argument}` must be positive. Received: {argument}={size}")
        self.num_groups = num_groups
        self.num_latents = num_latents
        self.hidden_dim = hidden_dim
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.num_train_latents = num_train_latents
        if num_train_latents is not None:
            self._check_latents(num_train_latents, "num_train_latents")
        self.dropout_rate = dropout_rate
        self.stochastic_depth_rate = stochastic_depth_rate
        self.remat = remat
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed) if num_train_latents else None

    @staticmethod
    def num_seeds(num_layers):
        """Returns how many seeds, from `seed` on, a block takes."""
        return 3 + 4 * num_layers

    def build(self, elements_shape, skip_shape=None):
        shared = {
            "activation": squared_relu,
            "epsilon": 1e-5,
            "kernel_initializer": attention_kernel(),
            "dropout_rate": self.dropout_rate,
            "remat": self.remat,
            "dtype": self.dtype_policy,
        }
        latents_shape = (None, self.num_latents, self.hidden_dim)
        rows = self.num_groups * self.num_latents
        self.latents = LearnedArray(
            rows, self.hidden_dim, table_stddev(rows), dtype=self.dtype_policy, name="latents"
        )
        self.latents.build(elements_shape)
        self.skip_dense = None
        if skip_shape is not None and skip_shape[-1] != self.hidden_dim:
            self.skip_dense = keras.layers.Dense(
                self.hidden_dim,
                kernel_initializer=attention_kernel(),
                dtype=self.dtype_policy,
                name="skip",
            )
            self.skip_dense.build(skip_shape)
        self.cross_attention = CrossAttentionBlock(
            num_heads=1, seed=self.seed + 1, name="cross_attention", **shared
        )
        self.cross_attention.build(latents_shape, (None, *elements_shape[2:]))
        self.blocks = []
        for layer in range(self.num_layers):
            block = TransformerBlock(
                self.num_heads,
                MLP_WIDENING * self.hidden_dim,
                stochastic_depth_rate=self.stochastic_depth_rate,
                seed=self.seed + self.num_seeds(layer),
                name=f"block_{layer}",
                **shared,
            )
            block.build(latents_shape)
            self.blocks.append(block)

    def call(self, elements, skip=None, attention_mask=None, num_latents=None, training=None):
        groups, length, channels = elements.shape[1:]
        if groups != self.num_groups:
            raise ValueError(f"Expected {self.num_groups} groups. Received: shape={tuple(elements.shape)}")
        latents = self.latents(elements)  # B G*K D
        if skip is not None:
            latents = latents + ops.reshape(self._skipped(skip), (-1, *latents.shape[1:]))
        latents = ops.reshape(latents, (-1, self.num_latents, self.hidden_dim))  # B*G K D
        latents = self._chosen(latents, self._count(num_latents, skip, training), training)
        mask = None
        if attention_mask is not None:
            mask = ops.broadcast_to(attention_mask, ops.shape(elements)[:3])
            mask = ops.reshape(mask, (-1, 1, length))  # B*G 1 N
        elements = ops.reshape(elements, (-1, length, channels))  # B*G N C
        latents = self.cross_attention(latents, elements, attention_mask=mask, training=training)
        for block in self.blocks:
            latents = block(latents, training=training)
        return ops.reshape(latents, (-1, self.num_groups, latents.shape[1], self.hidden_dim))

    def _skipped(self, skip):
        return skip if self.skip_dense is None else self.skip_dense(skip)

    def _count(self, num_latents, skip, training):
        """Returns how many latents of each group take part in a call."""
        if num_latents is None:
            num_latents = self.num_train_latents if training and self.num_train_latents else self.num_latents
        self._check_latents(num_latents, "num_latents")
        if skip is not None and num_latents != self.num_latents:
            raise ValueError(
                f"With a `skip`, all {self.num_latents} latents take part. "
                f"Received: num_latents={num_latents}"
            )
        return num_latents

    def _chosen(self, latents, count, training):
        """Returns `(B*G, count, D)` of `(B*G, K, D)`: drawn in training, else the first."""
        if count == self.num_latents:
            return latents
        if not (training and self.num_train_latents):
            return latents[:, :count]
        places = draw_places(ops.shape(latents)[0], self.num_latents, count, self.generator)
        return ops.take_along_axis(latents, places[..., None], axis=1)

    def _check_latents(self, count, argument):
        if not 1 <= count <= self.num_latents:
            raise ValueError(
                f"`{argument}` must be positive and at most {self.num_latents}. Received: {argument}={count}"
            )

    def compute_output_spec(self, elements, skip=None, attention_mask=None, num_latents=None, training=None):
        count = self._count(num_latents, skip, training)
        shape = (elements.shape[0], self.num_groups, count, self.hidden_dim)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "num_groups": self.num_groups,
            "num_latents": self.num_latents,
            "hidden_dim": self.hidden_dim,
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "num_train_latents": self.num_train_latents,
            "dropout_rate": self.dropout_rate,
            "stochastic_depth_rate": self.stochastic_depth_rate,
            "remat": self.remat,
            "seed": self.seed,
        }
