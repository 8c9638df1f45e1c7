"""Starts a Zorro from an earlier one, or from a published vision transformer or Swin."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from zorro_keras import weights
from zorro_keras.applications.pipelines.faults import CheckpointError
from zorro_keras.applications.training.start_weights import StartReport, check_preprocessing, refused
from zorro_keras.models import (
    ZorroHiPBackbone,
    ZorroSwinBackbone,
    ZorroViTBackbone,
    copy_part,
    parts_of,
    settings_of,
)

Backbone = ZorroViTBackbone | ZorroSwinBackbone | ZorroHiPBackbone

_READABLE = {
    ZorroViTBackbone: "Zorro-ViT, or a vision transformer",
    ZorroSwinBackbone: "Zorro-Swin, or a Swin or Video Swin",
    ZorroHiPBackbone: "Zorro-HiP",
}
_PUBLISHED = {ZorroViTBackbone: weights.load_vit, ZorroSwinBackbone: weights.load_swin}


def start_zorro(
    backbone: Backbone,
    source: str,
    *,
    preprocessing: Mapping[str, Any] | None = None,
    keys: Mapping[str, str] | None = None,
) -> StartReport:
    """Puts pretrained weights into a new backbone.

    The layers must be those of the pretrained model. From a Zorro of the same kind, what belongs to the
    streams that both have is copied, positions interpolated to the new grid, and of what reads streams or
    answers for them, such as the read-out, what is of those. A Zorro-ViT may also start from a vision
    transformer, and the trunks of a Zorro-Swin from a Swin: see `load_vit` and `load_swin` of
    `zorro_keras.weights`.

    Args:
        backbone: of the new model; changed in place.
        source: preset folder of a model with the same kind of Zorro, or what `load_vit` or `load_swin` reads.
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
        kind = _kind_of(Path(source))
        if kind is None and type(backbone) in _PUBLISHED:
            return _start_from_published(backbone, source)
        pretrained = type(backbone).from_preset(source)
    except (ValueError, TypeError, KeyError, OSError) as error:  # a WeightsError is a ValueError
        if isinstance(error, weights.WeightsError) and error.size is not None:
            raise _differs(source, *error.size, keys) from error
        raise CheckpointError(
            f"It must be the preset of a model with a {_READABLE[type(backbone)]}: {error}",
            path=source, stage="start_weights", reason="bad_preset",
        ) from error  # fmt: skip
    check_preprocessing(source, preprocessing or {}, keys)
    _check_settings(source, pretrained, backbone, keys)
    theirs, ours = parts_of(pretrained), parts_of(backbone)
    copied = {part: copy_part(part, pretrained, backbone) for part in ours if part in theirs}
    return _report(source, ours, copied)


def _kind_of(path: Path) -> str | None:
    """The class of Zorro in a preset folder, or `None`."""
    if not ((path / "config.json").is_file() and (path / "metadata.json").is_file()):
        return None
    about = json.loads((path / "config.json").read_text(encoding="utf-8"))
    kind = about.get("class_name") if isinstance(about, dict) else None
    return kind if kind in {known.__name__ for known in _READABLE} else None


def _start_from_published(backbone: Backbone, source: str) -> StartReport:
    report = _PUBLISHED[type(backbone)](backbone, source)
    used, parts = {use.weight for use in report.used}, parts_of(backbone)
    copied = {
        part: sum(layer.count_params() for layer in layers)
        for part, layers in parts.items()
        if used >= {weight.path for layer in layers for weight in layer.weights}
    }
    return _report(source, parts, copied, " ".join(report.summary().split("\n")))


def _report(
    source: str, parts: Mapping[str, list[keras.layers.Layer]], copied: Mapping[str, int], note: str = ""
) -> StartReport:
    counts = {part: sum(layer.count_params() for layer in layers) for part, layers in parts.items()}
    fresh = {part: count - copied.get(part, 0) for part, count in counts.items()}
    return StartReport(
        source,
        {part: copied[part] for part in counts if copied.get(part)},
        {part: count for part, count in fresh.items() if count},
        note,
    )


def _check_settings(source: str, theirs: Backbone, ours: Backbone, keys: Mapping[str, str]) -> None:
    """Refuses a Zorro of other layers, and streams in both that are read or cut in another way."""
    common = [name for name in ours.routing if name in theirs.routing]
    given = [name for name in common if name in ours.streams]
    old, new = settings_of(theirs, given), settings_of(ours, given)
    for settings, backbone in ((old, theirs), (new, ours)):
        settings["routing"] = dict(backbone.routing.restrict(common))
        if common == given:
            settings.pop("num_fusion_tokens", None)  # no stream that both have is of such tokens
    for name in new:
        if old[name] != new[name]:
            raise _differs(source, name, old[name], new[name], keys)


def _differs(source: str, name: str, old: Any, new: Any, keys: Mapping[str, str]) -> CheckpointError:
    hint = f", set by `{keys[name]}`" if name in keys else ""
    return refused(source, f"its `{name}` is {old!r}, not {new!r}{hint}")
