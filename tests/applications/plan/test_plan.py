"""The command: what it says, to people and to programs, and what it refuses."""

import importlib.util
import json
from io import StringIO

import keras
import pytest
from rich.console import Console

pytest.importorskip("jax")
if keras.backend.backend() != "jax":
    pytest.skip("a plan is made on JAX", allow_module_level=True)

from zorro_keras.applications import cli
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.plan import command, tables
from zorro_keras.applications.plan.memory import Footprint

TASK = "starcraft_units"
SMALL = ("--set", "model.num_layers=1")


def line(shaped):
    """A footprint without compiling: 10 MB, and 1 MB for each example."""
    batch_size = shaped.batch_size
    assert keras.tree.flatten(shaped.data)[0].shape[0] == batch_size
    fixed = {"weights": 4 * 10**6, "optimizer": 5 * 10**6, "gradients": 10**6}
    return Footprint(batch_size, **fixed, batch=10**5 * batch_size, activations=9 * 10**5 * batch_size)


@pytest.mark.slow
def test_a_plan_is_for_programs(capsys):
    """Really compiled."""
    assert cli.main(["plan", TASK, "--batch-size", "4", "--json", *SMALL]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["tokens"] == {"units": 24, "latents": 8}
    assert plan["batch_size"] == plan["memory"]["batch_size"] == 4
    parts = {name: size for name, size in plan["memory"].items() if name not in ("batch_size", "total")}
    assert plan["memory"]["total"] == sum(parts.values()) and all(parts.values())
    # 24 units of 8 numbers, flags of 1 byte, labels and weights.
    assert parts["batch"] == 4 * 24 * (8 * 4 + 1 + 4 + 4)
    assert sum(stage["count"] * stage["parameters"] for stage in plan["stages"]) == plan["parameters"]
    assert plan["flops"]["training_step"] > 2 * plan["flops"]["forward"] > 0
    assert "device" not in plan


@pytest.mark.slow
def test_a_plan_is_for_people(monkeypatch):
    monkeypatch.setattr(command, "footprint", line)
    plan = command.plan(TASK, "tiny", ("model.num_layers=1",), batch_size=4, device_bytes=10**9)
    assert plan["per_example"] == 10**6 and plan["device"]["batch_size"] == 890
    said = StringIO()
    tables.show(plan, Console(file=said, width=200))
    for words in (
        "starcraft_units tiny model.num_layers=1",
        "24 x 64",
        "tokens: latents",
        "Memory of a training step of 4",
        "14.0 MB",
        "A batch of 890 fits into 900 MB of 1.00 GB: it takes 900 MB.",
    ):
        assert words in said.getvalue()
    assert "For one device" not in said.getvalue()
    tables.show({**plan, "distribute": "data"}, Console(file=said, width=200))
    assert "what `training.distribute=data` spreads over others is not taken off" in said.getvalue()


@pytest.mark.slow
def test_a_device_that_is_too_small_for_any_batch_is_told_so(monkeypatch):
    monkeypatch.setattr(command, "footprint", line)
    plan = command.plan(TASK, "tiny", device_bytes=10**7)
    assert plan["device"]["batch_size"] == 0
    said = StringIO()
    tables.show(plan, Console(file=said, width=200))
    assert "No batch was found that fits into 9.00 MB of 10.0 MB." in said.getvalue()


@pytest.mark.slow
def test_classes_are_those_asked_for_or_of_the_data_a_configuration_is_made_for(monkeypatch):
    monkeypatch.setattr(command, "footprint", line)
    by_default = command.plan("image_classification", "tiny", batch_size=2)
    asked = command.plan("image_classification", "tiny", batch_size=2, num_classes=17)
    assert (by_default["num_classes"], asked["num_classes"]) == (10, 17)
    assert asked["stages"][-1]["shapes"] == ((17,),)


@pytest.mark.slow
def test_a_configuration_of_even_batches_is_told_an_even_one(monkeypatch, capsys):
    monkeypatch.setattr(command, "footprint", line)
    assert command.plan("optical_flow", "tiny", device_bytes=25 * 10**6)["device"]["batch_size"] == 12
    assert cli.main(["plan", "optical_flow", "--batch-size", "3"]) == 2
    assert "`training.batch_size` must be even" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--device", "16"], "must be the memory of a device, such as 16GB or 80GiB. Received: 16"),
        (["--batch-size", "0"], "`--batch-size` must be at least 1. Received: 0"),
        (["--classes", "-1"], "`--classes` must be at least 1. Received: -1"),
        (["--classes", "3"], "`starcraft_units` has no classes"),
        (["--config", "tinny"], "Did you mean `tiny`?"),
    ],
)
def test_what_makes_no_sense_is_refused(words, said, capsys):
    assert cli.main(["plan", TASK, *words]) == 2
    assert said in capsys.readouterr().err


def test_without_jax_the_command_says_what_to_install(monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "jax" else find(name))
    assert cli.main(["plan", TASK]) == 2
    said = capsys.readouterr().err
    assert "A plan is made by JAX" in said and "zorro-keras[jax]" in said


def test_an_unknown_task_is_refused():
    with pytest.raises(ConfigError, match="Did you mean `starcraft_units`"):
        command.plan("starcraft", "tiny")
