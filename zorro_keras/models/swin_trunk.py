"""The layers of a Swin, stage by stage: what one stream goes through, alone or beside others."""

import keras

from zorro_keras.layers import PatchMerging, PatchStem, SwinBlock
from zorro_keras.layers.patches import pad_to_multiples

EPSILON = 1e-5


class SwinTrunk:
    """Patches, then stages of blocks with a merging between them, then a norm.

    Every other block of a stage is shifted; the probability to skip a branch grows linearly from the first
    block to the last.

    Args:
        stream: description of the stream, see `zorro_keras.streams`.
        num_layers: sequence of int, blocks of each stage.
        num_heads: sequence of int, heads of each stage.
        hidden_dim: int, channels of the first stage; each merging doubles them.
        mlp_ratio: int, channels inside an MLP by those outside.
        stochastic_depth_rate: float in [0, 1), probability to skip a branch of the last block.
        seed: int, seed of the dropouts.
        dtype: dtype policy.
        prefix: str, before the names of all layers.
        **block: further arguments of each `SwinBlock`.
    """

    def __init__(
        self,
        stream,
        num_layers,
        num_heads,
        hidden_dim,
        mlp_ratio,
        stochastic_depth_rate=0.0,
        seed=0,
        dtype=None,
        prefix="",
        **block,
    ):
        self.patch = stream.patch
        self.stem = PatchStem(stream.patch, hidden_dim, dtype=dtype, name=f"{prefix}stem")
        self.stem_norm = self._norm(f"{prefix}stem_norm", dtype)
        self.stages, self.mergings, total = [], [], sum(num_layers)
        for stage, (layers, heads) in enumerate(zip(num_layers, num_heads, strict=True)):
            first = sum(num_layers[:stage])
            self.stages.append(
                [
                    SwinBlock(
                        heads,
                        mlp_ratio * hidden_dim * 2**stage,
                        shifted=layer % 2 == 1,
                        stochastic_depth_rate=stochastic_depth_rate * (first + layer) / max(total - 1, 1),
                        seed=seed + 4 * (first + layer),
                        dtype=dtype,
                        name=f"{prefix}stage_{stage}_block_{layer}",
                        **block,
                    )
                    for layer in range(layers)
                ]
            )
            if stage:
                name = f"{prefix}merging_{stage - 1}"
                self.mergings.append(PatchMerging(EPSILON, dtype=dtype, name=name))
        self.norm = self._norm(f"{prefix}norm", dtype)

    def __call__(self, x, training=None):
        """Returns the grid `(B, *grid, D)` that an array `(B, *shape)` becomes."""
        x = self.embed(x)
        for stage in range(len(self.stages)):
            x = self.read(stage, x, training)
        return self.norm(x)

    def embed(self, x):
        """Returns the grid of patches `(B, *grid, C)`; what the patch does not divide is filled up."""
        return self.stem_norm(self.stem(pad_to_multiples(x, self.patch)))

    def read(self, stage, x, training=None):
        """Returns the grid after a stage."""
        for layer in range(len(self.stages[stage])):
            x = self.step(stage, layer, x, training)
        return x

    def step(self, stage, layer, x, training=None):
        """Returns the grid after a block; a stage's first begins by merging what the stage before made."""
        if stage and not layer:
            x = self.mergings[stage - 1](x)
        return self.stages[stage][layer](x, training=training)

    def _norm(self, name, dtype):
        return keras.layers.LayerNormalization(epsilon=EPSILON, dtype=dtype, name=name)


def check_stages(num_layers, num_heads, hidden_dim, mlp_ratio):
    """Raises `ValueError` where the sizes of the stages do not fit together."""
    if not num_layers or len(num_layers) != len(num_heads) or min(*num_layers, hidden_dim, mlp_ratio) < 1:
        raise ValueError(
            "`num_layers` and `num_heads` must have a positive number for each stage, `hidden_dim` and "
            f"`mlp_ratio` be positive. Received: num_layers={num_layers}, num_heads={num_heads}, "
            f"hidden_dim={hidden_dim}, mlp_ratio={mlp_ratio}"
        )
