"""How deep in a backbone each variable lies, for learning rates that shrink towards the inputs."""

from __future__ import annotations

from typing import Any

import keras

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.models import PerceiverIOBackbone, ZorroHiPBackbone, ZorroSwinBackbone, ZorroViTBackbone

Stack = list[list[keras.layers.Layer]]


def learning_rate_scales(model: keras.Model, decay: float) -> list[float]:
    """Returns what the learning rate of each trainable variable is multiplied by, in their order.

    It is 1 for what comes after the last block, such as read-outs and heads, and `decay` times as much with
    every block towards the inputs; tokenizers, positions and learned tokens come before the first.

    Args:
        model: task with a `backbone`.
        decay: float in (0, 1].

    Raises:
        ConfigError: if nothing is known of the backbone's blocks.

    Reference:
        Layer-wise learning-rate decay, arXiv 2003.10555, appendix A; BEiT (arXiv 2106.08254) and MAE (arXiv
        2111.06377) fine-tune with it.
    """
    stack = _stack_of(getattr(model, "backbone", model))
    depths = {
        id(variable): depth
        for depth, layers in enumerate(stack)
        for layer in layers
        for variable in layer.weights
    }
    last = len(stack)
    return [decay ** (last - depths.get(id(variable), last)) for variable in model.trainable_variables]


def _stack_of(backbone: Any) -> Stack:
    """The layers of a backbone by depth: what comes first, then block by block. The others come last."""
    kinds = {
        ZorroViTBackbone: _vit,
        ZorroSwinBackbone: _swin,
        ZorroHiPBackbone: _hip,
        PerceiverIOBackbone: _perceiver,
    }
    for kind, stack_of in kinds.items():
        if isinstance(backbone, kind):
            return stack_of(backbone)
    raise ConfigError(
        "`training.layer_decay` must be 1 for a model whose blocks are not known. "
        f"Received: a {type(backbone).__name__}",
        stage="config",
        reason="bad_value",
    )


def _vit(backbone: ZorroViTBackbone) -> Stack:
    transformer = backbone.transformer
    learned = [layer for layers in transformer.learned.values() for layer in layers]
    return [[*transformer.tokenizers.values(), *learned], *([block] for block in transformer.blocks)]


def _swin(backbone: ZorroSwinBackbone) -> Stack:
    """Blocks of all streams at one place are equally deep; a merging is as deep as the block after it."""
    trunks, fusion = backbone.swin.trunks.values(), backbone.swin.fusion
    stack = [
        [*(layer for trunk in trunks for layer in (trunk.stem, trunk.stem_norm)), *fusion.tokens.values()]
    ]
    merged: list[keras.layers.Layer] = []
    stages = zip(*(trunk.stages for trunk in trunks), strict=True)
    for stage, blocks in enumerate(stages):
        for layer, row in enumerate(zip(*blocks, strict=True)):
            fused = [fusion.blocks[stage, layer]] if (stage, layer) in fusion.blocks else []
            stack.append([*merged, *row, *fused])
            merged = []
        merged = [trunk.mergings[stage] for trunk in trunks if stage < len(trunk.mergings)]
        merged += fusion.widenings[stage] if stage < len(fusion.widenings) else ()
    return stack


def _hip(backbone: ZorroHiPBackbone) -> Stack:
    hip = backbone.hip
    stack = [[*hip.embeddings.values(), *hip.positions.values()]]
    for level in hip.levels:
        first, *others = level.blocks
        stack += [[level.cross_attention, *level.latents.values(), first], *([block] for block in others)]
    return stack


def _perceiver(backbone: PerceiverIOBackbone) -> Stack:
    encoder = backbone.encoder
    return [
        [*backbone.input_adapters.values(), encoder.latents],
        [encoder.cross_attention],
        *([block] for block in encoder.blocks),
    ]
