"""The parts of each Zorro by name: what their weights depend on, and how one takes over another's."""

from keras import ops

from zorro_keras.layers import LearnedArray, LearnedPositions, Readout
from zorro_keras.models.copied import places
from zorro_keras.models.zorro_hip import ZorroHiPBackbone
from zorro_keras.models.zorro_swin import ZorroSwinBackbone
from zorro_keras.models.zorro_vit import ZorroViTBackbone


def parts_of(backbone):
    """Returns the layers that are copied together, lists by the name that people read.

    What belongs to one stream has its name in it, as the second word.
    """
    kinds = {ZorroViTBackbone: _vit, ZorroSwinBackbone: _swin, ZorroHiPBackbone: _hip}
    for kind, parts in kinds.items():
        if isinstance(backbone, kind):
            return parts(backbone)
    names = [kind.__name__ for kind in kinds]
    raise ValueError(f"`backbone` must be one of {names}. Received: backbone={backbone}")


def settings_of(backbone, streams):
    """Returns what must be equal for the weights of some given streams to mean the same.

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


def copy_part(part, theirs, ours):
    """Copies what both have of a part, positions interpolated to the new grid.

    A read-out of other outputs takes over the queries of those that both have, a fusion block the norms of
    the sources that both have.

    Args:
        part: str, a name that `parts_of` gives for both.
        theirs, ours: backbones of one kind, equal in `settings_of`; `ours` is changed.

    Returns:
        int, how many numbers of the part were copied; 0 where nothing fits.
    """
    pairs = list(zip(parts_of(ours)[part], parts_of(theirs)[part], strict=True))
    if any(getattr(new, "mlp_dim", None) != getattr(old, "mlp_dim", None) for new, old in pairs):
        return 0
    if part.startswith("latents") and any(new.length != old.length for new, old in pairs):
        return 0
    copied = 0
    for new, old in pairs:
        if isinstance(new, LearnedPositions):
            new.assign_resized(old)
            copied += new.count_params()
        elif part.startswith("tokenizer") and isinstance(new, LearnedArray):
            name = part.split()[1]
            new.assign_resized(old, theirs.streams[name].grid, ours.streams[name].grid)
            copied += new.count_params()
        else:
            copied += _copy_shared(new, old)
    return copied


def _copy_shared(new, old):
    """Copies the weights that are at one place in both layers; of queries, those of common outputs."""
    copied, known = 0, dict(zip(places(old), old.weights, strict=True))
    for place, weight in zip(places(new), new.weights, strict=True):
        if place not in known:
            continue
        value = ops.convert_to_numpy(known[place])
        if isinstance(new, Readout) and weight is new.queries.array and new.outputs != old.outputs:
            merged = ops.convert_to_numpy(weight).copy()
            common = [output for output in new.outputs if output in old.outputs]
            for output in common:
                merged[new.outputs.index(output)] = value[old.outputs.index(output)]
            value, count = merged, len(common) * merged.shape[1]
        else:
            count = value.size
        weight.assign(value)
        copied += count
    return copied


def _cut(stream):
    """Returns what the kernel of a stream's tokenizer depends on."""
    return type(stream).__name__, stream.patch, *stream.shape[len(stream.patch) :]


def _vit(backbone):
    transformer = backbone.transformer
    parts = {"blocks": [*transformer.blocks, transformer.norm]}
    parts |= {
        f"tokenizer {name}": [tokenizer.embedding, tokenizer.positions]
        for name, tokenizer in transformer.tokenizers.items()
    }
    parts |= {f"tokens {name}": list(layers) for name, layers in transformer.learned.items()}
    return {**parts, "read-out": [transformer.readout.readout]}


def _swin(backbone):
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


def _hip(backbone):
    hip = backbone.hip
    parts = {"levels": [layer for level in hip.levels for layer in (level.cross_attention, *level.blocks)]}
    parts |= {f"tokenizer {name}": [hip.embeddings[name], hip.positions[name]] for name in hip.embeddings}
    parts |= {
        f"latents {name}": [level.latents[name] for level in hip.levels if name in level.latents]
        for name in hip.routing
    }
    return {**parts, "read-out": [hip.readout.readout]}
