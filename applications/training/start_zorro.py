"""Starts a Zorro-ViT from an earlier one, or from a vision transformer of pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from zorro_keras import weights
from zorro_keras.applications.pipelines.faults import CheckpointError
from zorro_keras.applications.training.start_weights import StartReport, check_preprocessing, refused
from zorro_keras.layers import Tokenizer
from zorro_keras.models import ZorroViTBackbone

_SIZES = ("num_layers", "num_heads", "hidden_dim", "mlp_dim")


def start_zorro(
    backbone: ZorroViTBackbone,
    source: str,
    *,
    preprocessing: Mapping[str, Any] | None = None,
    keys: Mapping[str, str] | None = None,
) -> StartReport:
    """Puts pretrained weights into a new backbone.

    The blocks must be those of the pretrained model. From a Zorro, the tokenizers and learned tokens of the
    streams that both have are copied, positions interpolated to the new grid, and the read-out where it
    answers for the same streams. From a vision transformer see `zorro_keras.weights.load_vit`.

    Args:
        backbone: of the new model; changed in place.
        source: preset folder of a model with a Zorro-ViT, or what `load_vit` reads.
        preprocessing: settings of the new model's preprocessor that must be those of the preset's.
        keys: optional dict of the name of a setting, or of a stream for its patch, to its key in the
            configuration, for errors.

    Returns:
        `StartReport`.

    Raises:
        CheckpointError: if the source cannot be read, or differs in a setting or a size, which it names.
    """
    keys = keys or {}
    try:
        if not _is_zorro(Path(source)):
            return _start_from_vit(backbone, source)
        pretrained = ZorroViTBackbone.from_preset(source)
    except (ValueError, TypeError, KeyError, OSError) as error:  # a WeightsError is a ValueError
        if isinstance(error, weights.WeightsError) and error.size is not None:
            raise _differs(source, *error.size, keys) from error
        raise CheckpointError(
            f"It must be the preset of a model with a Zorro-ViT, or a vision transformer: {error}",
            path=source, stage="start_weights", reason="bad_preset",
        ) from error  # fmt: skip
    check_preprocessing(source, preprocessing or {}, keys)
    _check_settings(source, pretrained, backbone, keys)
    theirs, ours = _parts(pretrained), _parts(backbone)
    shared = [part for part in ours if part in theirs and _may_copy(part, theirs[part], ours[part])]
    for part in shared:
        for new, old in zip(ours[part], theirs[part], strict=True):
            _copy(new, old)
    return _report(source, ours, set(shared))


def _is_zorro(path: Path) -> bool:
    if not ((path / "config.json").is_file() and (path / "metadata.json").is_file()):
        return False
    about = json.loads((path / "config.json").read_text(encoding="utf-8"))
    return isinstance(about, dict) and about.get("class_name") == ZorroViTBackbone.__name__


def _start_from_vit(backbone: ZorroViTBackbone, source: str) -> StartReport:
    report = weights.load_vit(backbone, source)
    used, parts = {use.weight for use in report.used}, _parts(backbone)
    copied = {part for part, layers in parts.items() if used >= {w.path for x in layers for w in x.weights}}
    return _report(source, parts, copied, " ".join(report.summary().split("\n")))


def _parts(backbone: ZorroViTBackbone) -> dict[str, list[keras.layers.Layer]]:
    """The layers that are copied together, by the name that people read."""
    transformer = backbone.transformer
    parts = {"blocks": [*transformer.blocks, transformer.norm]}
    parts |= {f"tokenizer {name}": [tokenizer] for name, tokenizer in transformer.tokenizers.items()}
    parts |= {f"tokens {name}": list(layers) for name, layers in transformer.learned.items()}
    return {**parts, "read-out": [transformer.readout.readout]}


def _may_copy(part: str, theirs: list[keras.layers.Layer], ours: list[keras.layers.Layer]) -> bool:
    return part != "read-out" or all(
        getattr(theirs[0], name) == getattr(ours[0], name) for name in ("outputs", "mlp_dim")
    )


def _copy(new: keras.layers.Layer, old: keras.layers.Layer) -> None:
    if isinstance(new, Tokenizer):
        new.embedding.set_weights(old.embedding.get_weights())
        new.positions.assign_resized(old.positions)
        return
    new.set_weights(old.get_weights())


def _report(
    source: str, parts: Mapping[str, list[keras.layers.Layer]], copied: set[str], note: str = ""
) -> StartReport:
    counts = {part: sum(layer.count_params() for layer in layers) for part, layers in parts.items()}
    return StartReport(
        source,
        {part: count for part, count in counts.items() if part in copied},
        {part: count for part, count in counts.items() if part not in copied},
        note,
    )


def _check_settings(
    source: str, theirs: ZorroViTBackbone, ours: ZorroViTBackbone, keys: Mapping[str, str]
) -> None:
    """Refuses a Zorro of other blocks, and streams in both that are read or cut in another way."""
    names = list(_SIZES)
    if set(theirs.transformer.learned) & set(ours.transformer.learned):
        names.append("num_fusion_tokens")
    pairs = {name: (getattr(theirs, name), getattr(ours, name)) for name in names}
    common = [name for name in ours.routing if name in theirs.routing]
    pairs["routing"] = tuple(dict(each.routing.restrict(common)) for each in (theirs, ours))
    for name in set(theirs.streams) & set(ours.streams):
        pairs[name] = tuple(_cut(each.streams[name]) for each in (theirs, ours))
    for name, (old, new) in pairs.items():
        if old != new:
            raise _differs(source, name, old, new, keys)


def _differs(source: str, name: str, old: Any, new: Any, keys: Mapping[str, str]) -> CheckpointError:
    hint = f", set by `{keys[name]}`" if name in keys else ""
    return refused(source, f"its `{name}` is {old!r}, not {new!r}{hint}")


def _cut(stream: Any) -> tuple[Any, ...]:
    """What the kernel of a stream's tokenizer depends on."""
    return type(stream).__name__, stream.patch, *stream.shape[len(stream.patch) :]
