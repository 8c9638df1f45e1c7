"""The published sizes of HiP, as rows of levels."""

COLUMNS = ("num_groups", "num_layers", "num_latents", "hidden_dim", "num_heads")


def _size(embed_dim, groups, layers, latents, channels, heads):
    """Returns the sizes that a backbone takes: the level in the middle is the processor."""
    rows = zip(groups, layers, latents, channels, heads, strict=True)
    levels = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    encoder = len(levels) // 2 + 1
    return {"embed_dim": embed_dim, "levels": levels[:encoder], "decoder_levels": levels[encoder:]}


# HiP-16 and HiP-256: arXiv 2202.10890, the table of models. Mini and 16x3 are in the published code alone.
VARIANTS = {
    "mini": _size(
        embed_dim=32,
        groups=[16, 1, 16],
        layers=[2, 1, 1],
        latents=[128, 64, 128],
        channels=[128, 1024, 128],
        heads=[4, 32, 4],
    ),
    "16": _size(
        embed_dim=32,
        groups=[16, 4, 1, 1, 1, 4, 16],
        layers=[2, 2, 18, 2, 1, 1, 1],
        latents=[128, 256, 256, 64, 256, 256, 128],
        channels=[128, 256, 512, 1024, 512, 256, 128],
        heads=[4, 8, 16, 32, 16, 8, 4],
    ),
    "256": _size(
        embed_dim=16,
        groups=[256, 64, 16, 4, 1, 1, 1, 4, 16, 64, 256],
        layers=[1, 1, 2, 2, 18, 2, 1, 1, 1, 1, 1],
        latents=[32, 64, 128, 256, 256, 64, 256, 256, 128, 64, 32],
        channels=[64, 96, 128, 256, 512, 1024, 256, 128, 64, 32, 16],
        heads=[1, 2, 4, 8, 16, 32, 16, 8, 4, 2, 1],
    ),
    "16x3": _size(
        embed_dim=32,
        groups=[16, 1, 16],
        layers=[2, 18, 2],
        latents=[128, 256, 128],
        channels=[128, 1024, 128],
        heads=[4, 32, 4],
    ),
}
