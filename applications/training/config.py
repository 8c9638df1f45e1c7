"""Configuration as frozen dataclasses: what a run is, how to read it from text, and how to save it."""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, Union

from zorro_keras.applications.pipelines.faults import ConfigError

T = TypeVar("T")

_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")
_NONE = ("none", "null")


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained; every task's configuration holds one as `training`.

    Args:
        epochs: int >= 1. Windows of `steps_per_epoch` steps; a checkpoint falls on the end of each.
        batch_size: int >= 1. Examples per step.
        steps_per_epoch: optional int >= 1. None means one pass over the training split.
        optimizer: "adamw" or "lamb". LAMB sets the length of each array's step: for very large batches.
        learning_rate: float > 0. Peak of the schedule: linear warm-up, perhaps a while at the peak, then
            cosine decay to zero.
        warmup_fraction: float in [0, 1). Share of all steps spent warming up.
        warmup_steps: optional int >= 0. Steps spent warming up, in place of `warmup_fraction`.
        flat_fraction: float in [0, 1). Share of all steps at the peak after that, before the cosine; both
            shares must leave some.
        weight_decay: float >= 0. Decoupled from the gradient's moments; AdamW's on kernels, LAMB's on all
            but biases and norms.
        layer_decay: float in (0, 1]. What the learning rate of each block is multiplied by, beside that of
            the block after it: 0.75 keeps a pretrained model's first layers nearly as they are. 1 is the same
            for all.
        clip_norm: optional float > 0. Largest global gradient norm.
        ema_momentum: optional float in (0, 1). Keeps averaged weights; they are validated and saved.
        label_smoothing: float in [0, 1).
        mixed_precision: bool or "float16". True computes in bfloat16, "float16" in that, with a scale of the
            loss that keeps gradients from vanishing; weights stay float32.
        steps_per_execution: int >= 1. Steps between two returns to Python. Divides `steps_per_epoch`.
        jit_compile: bool or "auto".
        distribute: "none" for one device; "data" for all devices, each with all weights and its part of the
            batch; "model", on JAX, for all devices, with the weights split over `model_devices` of them.
        model_devices: optional int >= 1. Devices that share the weights, with `distribute="model"`; None is
            all of them.
        validate_every_epochs: int >= 1. The last epoch is always validated.
        seed: int >= 0. Decides weights, order, augmentation and dropout.

    Raises:
        ConfigError: if a value is out of range.
    """

    epochs: int = 10
    batch_size: int = 32
    steps_per_epoch: int | None = None
    optimizer: Literal["adamw", "lamb"] = "adamw"
    learning_rate: float = 1e-3
    warmup_fraction: float = 0.05
    warmup_steps: int | None = None
    flat_fraction: float = 0.0
    weight_decay: float = 0.05
    layer_decay: float = 1.0
    clip_norm: float | None = 1.0
    ema_momentum: float | None = None
    label_smoothing: float = 0.0
    mixed_precision: bool | Literal["float16"] = False
    steps_per_execution: int = 1
    jit_compile: bool | Literal["auto"] = "auto"
    distribute: Literal["none", "data", "model"] = "none"
    model_devices: int | None = None
    validate_every_epochs: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        counts = ("epochs", "batch_size", "steps_per_execution", "validate_every_epochs", "model_devices")
        check_least(self, 1, *counts)
        check_within(self, "[0, 1)", "warmup_fraction", "label_smoothing")
        for name, holds, expected in (
            ("steps_per_epoch", self.steps_per_epoch is None or self.steps_per_epoch >= 1, "at least 1"),
            ("learning_rate", 0 < self.learning_rate < math.inf, "positive"),
            ("warmup_steps", self.warmup_steps is None or self.warmup_steps >= 0, "at least 0 or None"),
            (
                "flat_fraction",
                0 <= self.flat_fraction < 1 - self.warmup_fraction,
                "within [0, 1 - warmup_fraction)",
            ),
            ("weight_decay", 0 <= self.weight_decay < math.inf, "at least 0"),
            ("layer_decay", 0 < self.layer_decay <= 1, "within (0, 1]"),
            ("clip_norm", self.clip_norm is None or self.clip_norm > 0, "positive or None"),
            ("ema_momentum", self.ema_momentum is None or 0 < self.ema_momentum < 1, "within (0, 1)"),
            (
                "model_devices",
                self.model_devices is None or self.distribute == "model",
                'None unless distribute is "model"',
            ),
            ("seed", 0 <= self.seed < 2**31, "within [0, 2**31)"),
        ):
            check(name, holds, expected, getattr(self, name))


def check(name: str, holds: bool, expected: str, value: object) -> None:
    """Refuses the value of a field that does not hold.

    Raises:
        ConfigError: unless `holds`, naming the field, what it must be, and what it was.
    """
    if not holds:
        raise _bad_value(f"`{name}` must be {expected}. Received: {name}={value!r}")


def check_least(config: Any, least: int, *names: str) -> None:
    """Refuses fields below `least`, alone or in a sequence. Those whose type allows None may be None.

    Raises:
        ConfigError: as `check` does.
    """
    hints = typing.get_type_hints(type(config))
    for name in names:
        value, is_optional = getattr(config, name), type(None) in typing.get_args(hints[name])
        if isinstance(value, tuple):
            holds = len(value) > 0 and min(value) >= least
        else:
            holds = (is_optional and value is None) or value >= least
        check(name, holds, f"{'None or ' if is_optional else ''}at least {least}", value)


def check_within(config: Any, interval: str, *names: str) -> None:
    """Refuses fields outside an interval such as "[0, 1)": an end beside a round bracket is outside.

    Raises:
        ConfigError: as `check` does.
    """
    low, high = map(float, interval[1:-1].split(","))
    for name in names:
        value = getattr(config, name)
        holds = low < value < high
        holds = holds or (value == low and interval[0] == "[") or (value == high and interval[-1] == "]")
        check(name, holds, f"within {interval}", value)


def apply_overrides(config: T, assignments: Sequence[str]) -> T:
    """Returns `config` with fields replaced, as `--set a.b=c` asks.

    Args:
        config: a frozen dataclass, possibly nested.
        assignments: strings `path.to.field=value`. The value is read with the type of the field: int, float,
            bool (`true`, `false`), str, `none`, a choice, or a tuple written `1,2,3`.

    Raises:
        ConfigError: if a key is unknown (the nearest one is named) or a value does not fit.
    """
    known, changes = field_paths(config), {}
    for assignment in assignments:
        path, separator, text = (part.strip() for part in assignment.partition("="))
        if not separator:
            raise _bad_value(f"`--set` takes KEY=VALUE. Received: {assignment!r}")
        *groups, name = path.split(".")
        inner = changes
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[name] = _parse(text, _type_of(config, path, known), path)
    return _replaced(config, changes)


def field_paths(config: Any) -> list[str]:
    """Every key `--set` understands for `config`, as dotted paths."""
    paths = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            paths.extend(f"{field.name}.{inner}" for inner in field_paths(value))
        else:
            paths.append(field.name)
    return paths


def to_json(config: Any) -> dict[str, Any]:
    """`config` as plain dicts, lists and scalars: what `json.dumps` writes and `from_json` reads."""
    return _plain(dataclasses.asdict(config))


def from_json(kind: type[T], values: Mapping[str, Any]) -> T:
    """Rebuilds the dataclass `kind` from what `to_json` gave.

    Raises:
        ConfigError: if a key is unknown or a value does not fit its field.
    """
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    for name in values:
        if name not in names:
            raise _unknown(name, names)
    return kind(**{name: _from_plain(value, hints[name], name) for name, value in values.items()})


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Names what changed between two `to_json` results, each as `a.b: 1 -> 2`."""
    lines = []
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            lines.extend(differences(before, after, f"{prefix}{name}."))
        elif before != after:
            lines.append(f"{prefix}{name}: {before} -> {after}")
    return lines


def _type_of(config: Any, path: str, known: list[str]) -> Any:
    """The type of the field that a dotted path names, or ConfigError."""
    *groups, name = path.split(".")
    for group in groups:
        config = getattr(config, group, None)
    hints = typing.get_type_hints(type(config)) if dataclasses.is_dataclass(config) else {}
    if name not in hints:
        raise _unknown(path, known)
    value = getattr(config, name)
    if dataclasses.is_dataclass(value):
        inner = ", ".join(f"{path}.{key}" for key in field_paths(value))
        raise _bad_value(f"`{path}` is a group; set one of its fields: {inner}. Received: {path}")
    return hints[name]


def _replaced(config: T, changes: Mapping[str, Any]) -> T:
    """All changes at once: those that only hold together need no order."""
    values = {
        name: _replaced(getattr(config, name), value) if isinstance(value, Mapping) else value
        for name, value in changes.items()
    }
    try:
        return dataclasses.replace(config, **values)
    except ValueError as error:  # what `ClipGeometry` and its like say of their arguments
        raise _bad_value(str(error)) from error


def _parse(text: str, hint: Any, path: str) -> Any:
    """Reads `text` as a value of the type `hint`, or raises ConfigError."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return _parse_union(text, hint, path)
    if origin is tuple:
        parts = [part.strip() for part in text.strip("()[] ").split(",") if part.strip()]
        inner = arguments[:1] * len(parts) if arguments[-1] is Ellipsis else arguments
        if len(parts) != len(inner):
            raise _misfit(text, hint, path)
        return tuple(_parse(part, kind, path) for part, kind in zip(parts, inner, strict=True))
    if origin is Literal and text in map(str, arguments):
        return next(choice for choice in arguments if str(choice) == text)
    if hint is bool and text.lower() in _TRUE + _FALSE:
        return text.lower() in _TRUE
    if hint is str:
        return text
    if hint in (int, float):
        try:
            return hint(text)
        except ValueError:
            pass
    if hint is type(None) and text.lower() in _NONE:
        return None
    raise _misfit(text, hint, path)


def _parse_union(text: str, hint: Any, path: str) -> Any:
    # None first and str last, so that `none` is None in `str | None` and `3` is a number in `int | str`.
    members = sorted(typing.get_args(hint), key=lambda kind: (kind is not type(None), kind is str))
    for member in members:
        try:
            return _parse(text, member, path)
        except ConfigError:
            continue
    raise _misfit(text, hint, path)


def _from_plain(value: Any, hint: Any, name: str) -> Any:
    """Turns JSON values back: dicts into dataclasses, lists into tuples; checks scalars against `hint`."""
    if typing.get_origin(hint) in (Union, types.UnionType):
        for member in typing.get_args(hint):
            try:
                return _from_plain(value, member, name)
            except ConfigError:
                continue
        raise _misfit(value, hint, name)
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return from_json(hint, value)
    if typing.get_origin(hint) is tuple and isinstance(value, list):
        inner = typing.get_args(hint)
        kinds = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        if len(kinds) == len(value):
            return tuple(_from_plain(item, kind, name) for item, kind in zip(value, kinds, strict=True))
    if typing.get_origin(hint) is Literal and value in typing.get_args(hint):
        return value
    if hint is float and type(value) in (int, float):
        return float(value)
    if hint in (int, str, bool, type(None)) and type(value) is hint:
        return value
    raise _misfit(value, hint, name)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _unknown(path: str, known: Sequence[str]) -> ConfigError:
    near = difflib.get_close_matches(path, known, n=1, cutoff=0.0)
    last = path.rsplit(".", 1)[-1]
    same_name = [name for name in known if name.rsplit(".", 1)[-1] == last]
    nearest = (same_name or near or ["nothing"])[0]
    return ConfigError(
        f"Unknown key `{path}`. Did you mean `{nearest}`?", stage="config", reason="unknown_key"
    )


def _misfit(value: object, hint: Any, path: str) -> ConfigError:
    kind = hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)
    kind = kind.replace("typing.", "").replace("NoneType", "None")
    return _bad_value(f"`{path}` must be {kind}. Received: {path}={value}")


def _bad_value(message: str) -> ConfigError:
    return ConfigError(message, stage="config", reason="bad_value")
