import dataclasses
import json
import re
from typing import Literal

import pytest

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training.config import (
    TrainingConfig,
    apply_overrides,
    check,
    check_least,
    check_within,
    differences,
    field_paths,
    from_json,
    to_json,
)


@dataclasses.dataclass(frozen=True)
class Shape:
    sizes: tuple[int, ...] = (2, 8, 8)
    pair: tuple[int, float] = (1, 0.5)
    name: str = "square"
    kind: Literal["zorro", "early"] = "zorro"
    label: str | None = None

    def __post_init__(self):
        check("pair", self.pair[0] <= self.sizes[0], f"at most {self.sizes[0]} first", self.pair)


@dataclasses.dataclass(frozen=True)
class Whole:
    shape: Shape = dataclasses.field(default_factory=Shape)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("training.epochs=3", 3),
        ("training.learning_rate=2", 2.0),
        ("training.learning_rate=3e-4", 3e-4),
        ("training.clip_norm=none", None),
        ("training.clip_norm=0.5", 0.5),
        ("training.mixed_precision=true", True),
        ("training.jit_compile=false", False),
        ("training.jit_compile=auto", "auto"),
        ("training.steps_per_epoch=7", 7),
        ("shape.sizes=3,5,7", (3, 5, 7)),
        ("shape.sizes=(3, 5)", (3, 5)),
        ("shape.pair=2,0.25", (2, 0.25)),
        ("shape.name=a=b", "a=b"),
        ("shape.kind=early", "early"),
        ("shape.label=None", None),
        ("shape.label=3", "3"),
    ],
)
def test_set_reads_a_value_with_the_type_of_its_field(assignment, value):
    changed = apply_overrides(Whole(), [assignment])
    group, name = assignment.partition("=")[0].split(".")
    received = getattr(getattr(changed, group), name)
    assert received == value and type(received) is type(value)
    assert len(differences(to_json(Whole()), to_json(changed))) <= 1


def test_later_assignments_win_and_the_original_stays():
    original = Whole()
    assert apply_overrides(original, ["training.epochs=3", "training.epochs=4"]).training.epochs == 4
    assert original == Whole()


@pytest.mark.parametrize("order", [1, -1])
def test_settings_that_only_hold_together_are_welcome_in_any_order(order):
    together = ["shape.pair=5,0.5", "shape.sizes=7"][::order]
    assert apply_overrides(Whole(), together).shape.pair == (5, 0.5)
    with pytest.raises(ConfigError, match="`pair` must be at most 2 first"):
        apply_overrides(Whole(), ["shape.pair=5,0.5"])


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("training.epoch=3", "Unknown key `training.epoch`. Did you mean `training.epochs`?"),
        ("epochs=3", "Unknown key `epochs`. Did you mean `training.epochs`?"),
        ("trainig.epochs=3", "Did you mean `training.epochs`?"),
        ("training.epochs.more=3", "Unknown key `training.epochs.more`"),
        ("training.epochs=3.5", "`training.epochs` must be int. Received: training.epochs=3.5"),
        ("training.epochs=none", "`training.epochs` must be int. Received: training.epochs=none"),
        (
            "training.mixed_precision=maybe",
            "`training.mixed_precision` must be Union[bool, Literal['float16']]",
        ),
        ("shape.kind=late", "`shape.kind` must be"),
        ("shape.sizes=1,x", "`shape.sizes` must be int"),
        ("shape.pair=1", "`shape.pair` must be tuple"),
        ("training=3", "`training` is a group"),
        ("training.epochs", "`--set` takes KEY=VALUE. Received: 'training.epochs'"),
        ("training.epochs=0", "`epochs` must be at least 1. Received: epochs=0"),
        ("training.learning_rate=nan", "`learning_rate` must be positive"),
        ("training.warmup_fraction=1", r"`warmup_fraction` must be within [0, 1)"),
        ("training.ema_momentum=1.0", "`ema_momentum` must be within (0, 1)"),
    ],
)
def test_a_bad_assignment_is_refused_by_name(assignment, message):
    with pytest.raises(ConfigError) as raised:
        apply_overrides(Whole(), [assignment])
    assert message in raised.value.message
    assert raised.value.exit_code == 2


def test_every_field_can_be_set_to_what_it_is():
    whole = Whole()
    values = to_json(whole)
    for path in field_paths(whole):
        group, name = path.split(".")
        value = values[group][name]
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        assert apply_overrides(whole, [f"{path}={text}"]) == whole, path


def test_json_and_back_is_the_same_configuration():
    whole = apply_overrides(Whole(), ["shape.sizes=3,5", "training.clip_norm=none", "shape.label=x"])
    assert from_json(Whole, json.loads(json.dumps(to_json(whole)))) == whole


def test_json_with_an_unknown_key_or_a_wrong_type_is_refused():
    values = to_json(Whole())
    with pytest.raises(ConfigError, match="Unknown key `trainin`. Did you mean `training`"):
        from_json(Whole, {"trainin": values["training"]})
    with pytest.raises(ConfigError, match="`epochs` must be int. Received: epochs=3.0"):
        from_json(Whole, {"training": {"epochs": 3.0}})
    assert from_json(Whole, values) == Whole()


def test_differences_name_the_key_and_both_values():
    changed = apply_overrides(Whole(), ["training.seed=5", "shape.name=round"])
    assert differences(to_json(Whole()), to_json(changed)) == [
        "shape.name: square -> round",
        "training.seed: 0 -> 5",
    ]


@dataclasses.dataclass(frozen=True)
class Bounds:
    count: int = 3
    size: int | None = 3
    rate: float = 0.5


def test_a_field_may_be_none_only_where_its_type_says_so():
    check_least(Bounds(size=None), 3, "count", "size")
    with pytest.raises(ConfigError, match="`count` must be at least 4. Received: count=3"):
        check_least(Bounds(), 4, "count")
    with pytest.raises(ConfigError, match="`size` must be None or at least 3. Received: size=2"):
        check_least(Bounds(size=2), 3, "count", "size")


@pytest.mark.parametrize(
    ("interval", "allowed", "refused"),
    [
        ("[0, 1]", (0, 0.5, 1), (-0.01, 1.01, float("nan"))),
        ("[0, 1)", (0, 0.5), (-0.01, 1, float("nan"))),
        ("(0, 1]", (0.5, 1), (0, 1.01, float("nan"))),
        ("(0, 0.5)", (0.25,), (0, 0.5, float("nan"))),
    ],
)
def test_an_interval_holds_its_ends_where_its_brackets_are_square(interval, allowed, refused):
    for value in allowed:
        check_within(Bounds(rate=value), interval, "rate")
    for value in refused:
        with pytest.raises(
            ConfigError, match=rf"`rate` must be within {re.escape(interval)}. Received: rate="
        ):
            check_within(Bounds(rate=value), interval, "rate")
