"""Counts the multiplications and additions of a traced program, whatever machine would run it.

Counted are matrix products and convolutions, two operations for each product of two numbers. Norms,
activations, softmax and sums are left out, as is customary.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any


def flops_by_scope(jaxpr: Any, place: Callable[[str], str] = lambda scope: "") -> Counter[str]:
    """Returns the FLOPs of a traced program by the place of each operation.

    Args:
        jaxpr: what `jax.make_jaxpr` returns, its batch included.
        place: function of the names of the layers that an operation is called in, as "model/block_0/mlp";
            operations of one place are summed.

    A loop counts as often as it runs, a branch as the dearest of its alternatives. A loop whose end depends
    on numbers counts once.
    """
    counts: Counter[str] = Counter()
    for scope, count in _products(_inner(jaxpr), ""):
        counts[place(scope)] += count
    return counts


def total_flops(jaxpr: Any) -> int:
    """Returns the FLOPs of a traced program."""
    return sum(flops_by_scope(jaxpr).values())


def _products(jaxpr: Any, scope: str) -> Iterator[tuple[str, int]]:
    """Yields where each product stands, and its FLOPs."""
    for equation in jaxpr.eqns:
        here = f"{scope}/{equation.source_info.name_stack}"
        name, parameters = equation.primitive.name, equation.params
        if name == "dot_general":
            yield here, _dot_flops(equation)
        elif name == "conv_general_dilated":
            yield here, _conv_flops(equation)
        elif name == "cond":
            alternatives = [list(_products(_inner(branch), here)) for branch in parameters["branches"]]
            yield from max(alternatives, key=lambda products: sum(count for _, count in products))
        else:
            repeats = parameters["length"] if name == "scan" else 1
            for inner in _jaxprs(parameters):
                for place, count in _products(inner, here):
                    yield place, repeats * count


def _jaxprs(parameters: dict[str, Any]) -> Iterator[Any]:
    """Yields the programs that an operation calls."""
    for value in parameters.values():
        for each in value if isinstance(value, (tuple, list)) else (value,):
            if hasattr(each, "jaxpr") or hasattr(each, "eqns"):
                yield _inner(each)


def _inner(jaxpr: Any) -> Any:
    """Returns the program itself, of one that is closed over its constants."""
    return getattr(jaxpr, "jaxpr", jaxpr)


def _dot_flops(equation: Any) -> int:
    (contracted, _), _ = equation.params["dimension_numbers"]
    shape = equation.invars[0].aval.shape
    return 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(shape[axis] for axis in contracted)


def _conv_flops(equation: Any) -> int:
    """Zeros that a dilation puts between the numbers of the picture are not multiplied."""
    _, *kernel_axes = equation.params["dimension_numbers"].rhs_spec
    kernel = equation.invars[1].aval.shape
    products = math.prod(equation.outvars[0].aval.shape) * math.prod(kernel[axis] for axis in kernel_axes)
    return 2 * products // math.prod(equation.params["lhs_dilation"])
