"""The sizes of a Perceiver IO that reads text, alike in every task of it: one's weights start another."""

from __future__ import annotations

from dataclasses import dataclass

from zorro_keras.applications.training.config import check, check_least, check_within


@dataclass(frozen=True)
class LanguageSizes:
    """Sizes of the Perceiver IO of "language"; by default those of the paper's byte model.

    Args:
        embed_dim: int. Channels of an embedded id and of a query.
        num_latents, latent_dim: ints. The latents.
        num_layers: int. Self-attention layers.
        num_heads: int. Heads of every attention.
        query_key_dim: int. Channels of queries and keys, all heads together.
        dropout_rate: float in [0, 1).
        remat: bool. Recomputes each layer in the backward pass: less memory, more time.

    Raises:
        ConfigError: if a value is out of range, or the heads do not divide what they cut.
    """

    embed_dim: int = 768
    num_latents: int = 256
    latent_dim: int = 1280
    num_layers: int = 26
    num_heads: int = 8
    query_key_dim: int = 256
    dropout_rate: float = 0.0
    remat: bool = False

    def __post_init__(self) -> None:
        check_least(self, 1, "num_latents", "num_layers", "num_heads")
        for name in ("embed_dim", "latent_dim", "query_key_dim"):
            value = getattr(self, name)
            divides = value >= 1 and value % self.num_heads == 0
            check(name, divides, f"a positive multiple of `num_heads` = {self.num_heads}", value)
        check_within(self, "[0, 1)", "dropout_rate")

    def sizes(self) -> dict[str, int | float | bool]:
        """What `PerceiverIOBackbone.from_variant` takes of these."""
        return {name: getattr(self, name) for name in LanguageSizes.__dataclass_fields__}


# Of the `tiny` configurations: for sentences of one line, on two CPU cores.
TINY_LENGTH = 64
TINY_SIZES = {
    "embed_dim": 64,
    "num_latents": 32,
    "latent_dim": 128,
    "num_layers": 2,
    "num_heads": 8,
    "query_key_dim": 64,
}
