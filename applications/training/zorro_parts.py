"""What the parts of each Zorro are called, and on which settings the meaning of their weights depends."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import keras

from zorro_keras.models import ZorroHiPBackbone, ZorroSwinBackbone, ZorroViTBackbone

Backbone = ZorroViTBackbone | ZorroSwinBackbone | ZorroHiPBackbone
Parts = dict[str, list[keras.layers.Layer]]

KINDS = {kind.__name__: kind for kind in (ZorroViTBackbone, ZorroSwinBackbone, ZorroHiPBackbone)}


def parts_of(backbone: Backbone) -> Parts:
    """The layers that are copied together, by the name that people read.

    What belongs to one stream has its name in it, as the second word.
    """
    return {ZorroViTBackbone: _vit, ZorroSwinBackbone: _swin, ZorroHiPBackbone: _hip}[type(backbone)](
        backbone
    )


def settings_of(backbone: Backbone, streams: Collection[str]) -> dict[str, Any]:
    """What must be equal for the weights of some given streams to mean the same.

    How a stream is cut goes by its name. The groups of a Zorro-HiP may be others: they share all weights but
    their latents, which then start fresh.
    """
    settings = {name: _cut(backbone.streams[name]) for name in streams}
    if isinstance(backbone, ZorroHiPBackbone):
        columns = ("num_layers", "num_latents", "hidden_dim", "num_heads")
        by_level = {name: tuple(row[name] for row in backbone.levels) for name in columns}
        return {**by_level, "embed_dim": backbone.embed_dim, "regrouping": backbone.regrouping, **settings}
    names = ["num_layers", "num_heads", "hidden_dim", "num_fusion_tokens"]
    if isinstance(backbone, ZorroSwinBackbone):
        names += ["mlp_ratio", "fusion_every"]
        settings |= {f"{name} window": backbone.windows[name] for name in streams}
    else:
        names.append("mlp_dim")
    return {**{name: getattr(backbone, name) for name in names}, **settings}


def _cut(stream: Any) -> tuple[Any, ...]:
    """What the kernel of a stream's tokenizer depends on."""
    return type(stream).__name__, stream.patch, *stream.shape[len(stream.patch) :]


def _vit(backbone: ZorroViTBackbone) -> Parts:
    transformer = backbone.transformer
    parts = {"blocks": [*transformer.blocks, transformer.norm]}
    parts |= {
        f"tokenizer {name}": [tokenizer.embedding, tokenizer.positions]
        for name, tokenizer in transformer.tokenizers.items()
    }
    parts |= {f"tokens {name}": list(layers) for name, layers in transformer.learned.items()}
    return {**parts, "read-out": [transformer.readout.readout]}


def _swin(backbone: ZorroSwinBackbone) -> Parts:
    swin = backbone.swin
    parts = {
        f"trunk {name}": [
            *(trunk.stem, trunk.stem_norm, trunk.norm, *trunk.mergings),
            *(block for stage in trunk.stages for block in stage),
        ]
        for name, trunk in swin.trunks.items()
    }
    fusion = [*swin.fusion.blocks.values(), *(layer for pair in swin.fusion.widenings for layer in pair)]
    parts |= {"fusion blocks": fusion} if fusion else {}
    parts |= {
        f"tokens {name}": [tokens, swin.fusion.norms[name]] for name, tokens in swin.fusion.tokens.items()
    }
    return {**parts, "read-out": [swin.readout.readout]}


def _hip(backbone: ZorroHiPBackbone) -> Parts:
    hip = backbone.hip
    parts = {"levels": [layer for level in hip.levels for layer in (level.cross_attention, *level.blocks)]}
    parts |= {f"tokenizer {name}": [hip.embeddings[name], hip.positions[name]] for name in hip.embeddings}
    parts |= {
        f"latents {name}": [level.latents[name] for level in hip.levels if name in level.latents]
        for name in hip.routing
    }
    return {**parts, "read-out": [hip.readout.readout]}
