"""One level of HiP: in every group, latents read the group's elements and think among themselves."""

import keras
from keras import ops

from zorro_keras.layers.activations import squared_relu
from zorro_keras.layers.block_stack import in_turn
from zorro_keras.layers.cross_attention_block import CrossAttentionBlock
from zorro_keras.layers.groups import draw_places
from zorro_keras.layers.initializers import attention_kernel, table_stddev
from zorro_keras.layers.learned_array import LearnedArray
from zorro_keras.layers.transformer_block import TransformerBlock

MLP_WIDENING = 4  # of the self-attention; the MLP after the cross-attention is as wide as the latents


@keras.saving.register_keras_serializable("zorro_keras")
class HierarchicalBlock(keras.layers.Layer):
    """A Perceiver in each group: cross-attention to the group's elements, then self-attention layers.

    Groups come in named sets, each with a table of latents of its own; all other weights are shared. As
    groups are folded into the batch, nothing crosses from one to another, and no mask keeps them apart.

    Args:
        num_groups: dict of set to int, G.
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
        elements: dict of set to float tensor `(B, G, N, C)`, N of each set. One left out costs nothing.
        skip: dict of set to float tensor `(B, G, K, E)` that is added to the latents before they read,
            through a linear layer where E is not D; `None` for none.
        attention_mask: dict of set to bool tensor `(B, G, N)` or `(1, G, N)`, True = may be read; a set
            without one reads everything, `None` for all sets.
        num_latents: int, only the first so many latents of each group take part; `None` for all, or in
            training for `num_train_latents`.

    Returns:
        Dict of set to tensor `(B, G, K, D)`. Latents of a group that may read nothing still think among
        themselves.

    Raises:
        ValueError: for sizes that are not positive, other groups, or another number of latents with a skip.

    Reference:
        HiP, arXiv 2202.10890; formulas of the published code, which has one set, skips a branch for a whole
        example and does not divide by the probability to keep it. We divide, as everywhere.
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
        self.num_groups = dict(num_groups)
        least = min(self.num_groups.values(), default=0)
        for argument, size in {
            "num_groups": least, "num_latents": num_latents, "num_layers": num_layers
        }.items():  # fmt: skip
            if size < 1:
                raise ValueError(f"`{argument}` must be positive. Received: {argument}={size}")
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
        self.latents = {name: self._table(name, groups) for name, groups in self.num_groups.items()}
        self.skip_dense = None
        skip_dim = next(iter(skip_shape.values()))[-1] if skip_shape else self.hidden_dim
        if skip_dim != self.hidden_dim:
            self.skip_dense = keras.layers.Dense(
                self.hidden_dim,
                kernel_initializer=attention_kernel(),
                dtype=self.dtype_policy,
                name="skip",
            )
            self.skip_dense.build((None, skip_dim))
        self.cross_attention = CrossAttentionBlock(
            num_heads=1, seed=self.seed + 1, name="cross_attention", **shared
        )
        self.cross_attention.build(latents_shape, (None, *next(iter(elements_shape.values()))[2:]))
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
        count = self._count(num_latents, skip, training)
        read = {}
        for name in self._sets(elements):
            latents = self._latents(name, elements[name], (skip or {}).get(name), count, training)
            read[name] = self._read(latents, elements[name], (attention_mask or {}).get(name), training)
        # All sets think at once: groups are examples to a block.
        latents = ops.concatenate(list(read.values()), axis=1) if len(read) > 1 else read[name]  # B G k D
        shape = (-1, *latents.shape[1:])
        latents = ops.reshape(latents, (-1, *latents.shape[2:]))  # B*G k D
        latents = in_turn(self.blocks, latents, training=training)
        return self._split(ops.reshape(latents, shape), read)

    def _sets(self, elements):
        """Returns the names of the sets of a call, in the block's order."""
        unknown = sorted(set(elements) - set(self.num_groups))
        if unknown or not elements:
            raise ValueError(
                f"`elements` must be of some of the sets {list(self.num_groups)}. Received: {list(elements)}"
            )
        for name, x in elements.items():
            if x.shape[1] != self.num_groups[name]:
                raise ValueError(
                    f"Expected {self.num_groups[name]} groups of `{name}`. Received: shape={tuple(x.shape)}"
                )
        return [name for name in self.num_groups if name in elements]

    def _latents(self, name, like, skip, count, training):
        """Returns the latents `(B*G, count, D)` of a set, before they read."""
        latents = self.latents[name](like)  # B G*K D
        if skip is not None:
            skip = skip if self.skip_dense is None else self.skip_dense(skip)
            latents = latents + ops.reshape(skip, (-1, *latents.shape[1:]))
        latents = ops.reshape(latents, (-1, self.num_latents, self.hidden_dim))  # B*G K D
        if count == self.num_latents:
            return latents
        if not (training and self.num_train_latents):
            return latents[:, :count]
        places = draw_places(ops.shape(latents)[0], self.num_latents, count, self.generator)
        return ops.take_along_axis(latents, places[..., None], axis=1)

    def _read(self, latents, elements, mask, training):
        """Returns the latents `(B, G, k, D)` of a set after each has read the elements of its group."""
        groups, length, channels = elements.shape[1:]
        if mask is not None:
            mask = ops.broadcast_to(mask, ops.shape(elements)[:3])
            mask = ops.reshape(mask, (-1, 1, length))  # B*G 1 N
        elements = ops.reshape(elements, (-1, length, channels))  # B*G N C
        latents = self.cross_attention(latents, elements, attention_mask=mask, training=training)
        return ops.reshape(latents, (-1, groups, *latents.shape[1:]))

    def _split(self, latents, names):
        """Returns the dict of set to `(B, G, k, D)` whose groups `latents` has one after another."""
        if len(names) == 1:
            return dict.fromkeys(names, latents)
        split, start = {}, 0
        for name in names:
            split[name] = latents[:, start : start + self.num_groups[name]]
            start += self.num_groups[name]
        return split

    def _table(self, name, groups):
        rows = groups * self.num_latents
        table = LearnedArray(
            rows, self.hidden_dim, table_stddev(rows), dtype=self.dtype_policy, name=f"{name}_latents"
        )
        table.build(())
        return table

    def _count(self, num_latents, skip, training):
        """Returns how many latents of each group take part in a call."""
        if num_latents is None:
            num_latents = self.num_train_latents if training and self.num_train_latents else self.num_latents
        self._check_latents(num_latents, "num_latents")
        if skip and num_latents != self.num_latents:
            raise ValueError(
                f"With a `skip`, all {self.num_latents} latents take part. "
                f"Received: num_latents={num_latents}"
            )
        return num_latents

    def _check_latents(self, count, argument):
        if not 1 <= count <= self.num_latents:
            raise ValueError(
                f"`{argument}` must be positive and at most {self.num_latents}. Received: {argument}={count}"
            )

    def compute_output_spec(self, elements, skip=None, attention_mask=None, num_latents=None, training=None):
        count = self._count(num_latents, skip, training)
        return {
            name: keras.KerasTensor(
                (elements[name].shape[0], self.num_groups[name], count, self.hidden_dim),
                dtype=self.compute_dtype,
            )
            for name in self._sets(elements)
        }

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
