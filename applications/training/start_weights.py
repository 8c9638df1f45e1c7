"""Starts a model from a pretrained backbone: copies what matches, refuses what would not mean the same."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from zorro_keras import weights
from zorro_keras.applications.pipelines.faults import CheckpointError
from zorro_keras.models import PerceiverIOBackbone

# Settings that two models may differ in and still mean the same by their weights.
_FREE = {
    "name", "dtype", "trainable", "module", "registered_name", "build_config", "compile_config", "seed",
    "stddev", "dropout_rate", "attention_dropout_rate", "remat", "key_chunk", "query_chunk",
}  # fmt: skip


@dataclass(frozen=True)
class StartReport:
    """What became of each part of a model that was started from another.

    Attributes:
        source: str. Where the weights come from.
        copied: dict of part to number of parameters.
        fresh: the same for the parts that keep the weights they were built with.
        note: str. What else is to be said.
    """

    source: str
    copied: Mapping[str, int]
    fresh: Mapping[str, int]
    note: str = ""

    def __str__(self) -> str:
        copied, fresh = (
            ", ".join(f"{part} ({count:,})" for part, count in parts.items()) or "nothing"
            for parts in (self.copied, self.fresh)
        )
        return f"Started from {self.source}. Copied: {copied}. Fresh: {fresh}. {self.note}".rstrip()


def start_backbone(
    backbone: PerceiverIOBackbone,
    source: str,
    *,
    semantics: str | None = None,
    preprocessing: Mapping[str, Any] | None = None,
    keys: Mapping[str, str] | None = None,
    heads: Collection[str] = (),
) -> StartReport:
    """Puts pretrained weights into a new backbone.

    Inputs, encoder and decoder must be those of the pretrained model. Queries are copied where it has an
    output of the same name; what follows them, the last linear layer, starts fresh unless `heads` names it,
    as do the queries of other outputs.

    Args:
        backbone: of the new model; changed in place.
        source: preset folder of a model with a Perceiver IO, or published weights that `zorro_keras.weights`
            reads.
        semantics: "deepmind" or "hugging_face": whose numbers published weights shall give.
        preprocessing: settings of the new model's preprocessor that must be those of the preset's, such as
            its `tokenizer`; not compared where the source has no preprocessor.
        keys: optional dict of the last word of a setting to its key in the configuration, for errors.
        heads: outputs whose last layer must be the pretrained one's, and is copied.

    Returns:
        `StartReport`.

    Raises:
        CheckpointError: if the source cannot be read, or differs in a setting or a size, which it names.
    """
    pretrained = _load(source, semantics)
    keys = keys or {}
    check_preprocessing(source, preprocessing or {}, keys)
    theirs, ours = _parts(pretrained, heads), _parts(backbone, heads)
    needed = [part for part in ours if not part.startswith("queries")]
    for part in needed:
        if part not in theirs:
            raise refused(source, f"it has no {part}, only {sorted(theirs)}")
        _check_settings(source, part, theirs[part], ours[part], keys)
    shared = [part for part in ours if part in needed or _shapes(theirs.get(part)) == _shapes(ours[part])]
    for part in shared:
        for new, old in zip(ours[part].weights, theirs[part].weights, strict=True):
            new.assign(keras.ops.convert_to_numpy(old))
    copied = {part: ours[part].count_params() for part in shared}
    fresh = {part: layer.count_params() for part, layer in ours.items() if part not in shared}
    others = _heads(backbone, set(backbone.output_adapters) - set(heads))
    fresh |= {part: head.count_params() for part, head in others.items() if head is not None and head.weights}
    return StartReport(source, copied, fresh)


def preprocessing_of(source: str) -> dict[str, Any]:
    """Returns the settings of the preprocessor in a preset folder; of anything else none."""
    path = Path(source) / "preprocessor.json"
    return json.loads(path.read_text(encoding="utf-8"))["config"] if path.is_file() else {}


def _load(source: str, semantics: str | None) -> PerceiverIOBackbone:
    try:
        if (Path(source) / "config.json").is_file() and (Path(source) / "metadata.json").is_file():
            return PerceiverIOBackbone.from_preset(source)
        return weights.load(source, semantics)
    except (weights.WeightsError, ValueError, OSError) as error:
        raise CheckpointError(
            f"It must be the preset of a model with a Perceiver IO, or published weights of one: {error}",
            path=source, stage="start_weights", reason="bad_preset",
        ) from error  # fmt: skip


def _parts(backbone: PerceiverIOBackbone, heads: Collection[str]) -> dict[str, keras.layers.Layer]:
    """The layers that can be copied, by the name that people read."""
    parts = {f"input {name}": adapter for name, adapter in backbone.input_adapters.items()}
    parts |= {"encoder": backbone.encoder, "decoder": backbone.decoder}
    queries = {name: adapter.queries for name, adapter in backbone.output_adapters.items()}
    parts |= {f"queries {name}": layer for name, layer in queries.items() if not isinstance(layer, str)}
    parts |= {"input padding": backbone.parts.input_join, "queries' padding": backbone.parts.query_join}
    parts |= _heads(backbone, heads)
    return {part: layer for part, layer in parts.items() if layer is not None and layer.weights}


def _heads(backbone: PerceiverIOBackbone, names: Collection[str]) -> dict[str, keras.layers.Layer | None]:
    adapters = backbone.output_adapters
    return {f"head {name}": adapters[name].head for name in adapters if name in names}


def _shapes(layer: keras.layers.Layer | None) -> list[tuple[int, ...]] | None:
    return None if layer is None else [tuple(weight.shape) for weight in layer.weights]


def _check_settings(
    source: str,
    part: str,
    theirs: keras.layers.Layer,
    ours: keras.layers.Layer,
    keys: Mapping[str, str],
) -> None:
    """Refuses a part of other settings, or, where those leave sizes open, of other sizes."""
    old, new = (dict(_settings(layer.get_config())) for layer in (theirs, ours))
    for name, value in new.items():
        # None stands for a size that follows from others: the shapes tell.
        if None not in (value, old.get(name)) and old[name] != value:
            key = keys.get(name.rpartition(".")[2], "")
            hint = f", set by `{key}`" if key else ""
            raise refused(source, f"`{name}` of its {part} is {old[name]!r}, not {value!r}{hint}")
    for their, our in zip(_shapes(theirs), _shapes(ours), strict=False):
        if their != our:
            raise refused(source, f"an array of its {part} has the shape {their}, not {our}")
    if len(theirs.weights) != len(ours.weights):
        raise refused(source, f"its {part} has {len(theirs.weights)} arrays, not {len(ours.weights)}")


def _settings(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each setting of a layer's config that decides what its weights mean, with a dotted name."""
    for name, value in config.items():
        if name in _FREE or name.endswith("_initializer"):
            continue
        if not isinstance(value, Mapping):
            yield prefix + name, list(value) if isinstance(value, tuple) else value
        elif isinstance(value.get("config"), str):  # a function, perhaps `package>name`
            yield prefix + name, value["config"].rpartition(">")[2]
        else:
            yield from _settings(value, prefix if name == "config" else f"{prefix}{name}.")


def check_preprocessing(source: str, ours: Mapping[str, Any], keys: Mapping[str, str]) -> None:
    """Refuses a preset whose preprocessor has other settings.

    Raises:
        CheckpointError: naming the setting, and that of a layer that is one.
    """
    theirs = _each_setting(preprocessing_of(source))
    for name, value in _each_setting(json.loads(json.dumps(dict(ours)))).items():
        if name in theirs and theirs[name] != value:
            key = keys.get(name.rpartition(".")[2], "")
            hint = f", set by `{key}`" if key else ""
            shown = [repr(each) if len(repr(each)) < 80 else "another" for each in (theirs[name], value)]
            raise refused(source, f"its `{name}` is {shown[0]}, not {shown[1]}{hint}")


def _each_setting(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a preprocessor, those of its layers one by one, such as `log_mel.mean`."""
    found = {}
    for name, value in settings.items():
        is_layer = isinstance(value, Mapping) and "class_name" in value
        found |= dict(_settings(value, f"{name}.")) if is_layer else {name: value}
    return found


def refused(source: str, difference: str) -> CheckpointError:
    """Returns the error that says why a configuration cannot start from a pretrained model."""
    return CheckpointError(
        f"The pretrained model is not one that this configuration can start from: {difference}.",
        path=source, stage="start_weights", reason="wrong_model",
        advice="Set what is named as the pretrained model has it.",
    )  # fmt: skip
