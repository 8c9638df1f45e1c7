"""A plan as tables for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from zorro_keras.applications.plan.sizes import in_bytes, in_flops

MEMORY_ROWS = ("weights", "gradients", "optimizer", "batch", "activations", "total")
FOR_CPU = (
    "Compiled by JAX for this machine's processor; another device lays out its arrays in its own way. "
    "A processor computes bfloat16 in float32: where mixed precision is at home a step takes less than this."
)
FOR_ONE_DEVICE = (
    "For one device that holds the whole batch and all weights: what `training.distribute={}` spreads over "
    "others is not taken off."
)


def show(plan: dict[str, Any], console: Console | None = None) -> None:
    """Prints a plan that `plan` returned. By default to standard output."""
    console = console or Console()
    for title, table in (_stages(plan), _example(plan), _memory(plan)):
        # Not the table's own title, which would be folded to its width.
        console.print(title, style="bold", highlight=False, soft_wrap=True)
        console.print(table, highlight=False)
    if "device" in plan:
        console.print(_device(plan), highlight=False, soft_wrap=True)
    if plan["distribute"] != "none":
        console.print(FOR_ONE_DEVICE.format(plan["distribute"]), highlight=False, soft_wrap=True)
    if plan["compiled_for"] == "cpu":
        console.print(FOR_CPU, highlight=False, soft_wrap=True)


def _stages(plan: dict[str, Any]) -> tuple[str, Table]:
    classes = f", {plan['num_classes']} labels" if plan["num_classes"] else ""
    table = Table()
    for column, justify in (
        ("stage", "left"),
        ("shape", "left"),
        ("parameters", "right"),
        ("forward", "right"),
    ):
        table.add_column(column, justify=justify)
    for stage in plan["stages"]:
        times = f"{stage['count']} x " if stage["count"] > 1 else ""
        parameters = f"{times}{stage['parameters']:,}" if stage["parameters"] else ""
        flops = f"{times}{in_flops(stage['forward_flops'])}" if stage["forward_flops"] else ""
        table.add_row(stage["name"], _shapes(stage["shapes"]), parameters, flops)
    return f"{plan['task']} {' '.join([plan['config'], *plan['overrides']])}{classes}", table


def _example(plan: dict[str, Any]) -> tuple[str, Table]:
    table = _two_columns()
    table.add_row("parameters", f"{plan['parameters']:,}")
    for name, count in plan["tokens"].items():
        table.add_row(f"tokens: {name}", f"{count:,}")
    table.add_row("forward", in_flops(plan["flops"]["forward"]))
    table.add_row("training step", in_flops(plan["flops"]["training_step"]))
    return "One example", table


def _memory(plan: dict[str, Any]) -> tuple[str, Table]:
    table = _two_columns()
    for row in MEMORY_ROWS:
        table.add_row(row, in_bytes(plan["memory"][row]), end_section=row == MEMORY_ROWS[-2])
    table.add_row("another example", in_bytes(plan["per_example"]))
    return f"Memory of a training step of {plan['batch_size']}", table


def _device(plan: dict[str, Any]) -> str:
    device = plan["device"]
    room = f"{in_bytes(device['usable_bytes'])} of {in_bytes(device['bytes'])}"
    if not device["batch_size"]:
        return (
            f"No batch was found that fits into {room}. Where the model has it, `--set model.remat=true` "
            "takes less."
        )
    return f"A batch of {device['batch_size']} fits into {room}: it takes {in_bytes(device['total'])}."


def _two_columns() -> Table:
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    return table


def _shapes(shapes: list[tuple[int, ...]]) -> str:
    """Shapes as text; several alike are counted."""
    texts = [" x ".join(map(str, shape)) or "1" for shape in shapes]
    return ", ".join(
        f"{texts.count(text)} of {text}" if texts.count(text) > 1 else text for text in dict.fromkeys(texts)
    )
