"""Writes an endpoint as an ONNX file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tensorflow as tf
import tf2onnx

from zorro_keras.applications.training.endpoints import Endpoint
from zorro_keras.applications.training.export_formats import UnsupportedEndpointError
from zorro_keras.applications.training.served import OUTPUT_SUFFIX

# The first opset with a Fourier transform is 17; runtimes of 2023 read 18.
_OPSET = 18


def write_onnx(loaded: Any, function: Any, endpoint: Endpoint, path: Path) -> None:
    """Writes a signature; inputs keep their names, open axes are called as in `Endpoint.inputs`.

    An output that is called as an input is called `<name>_output`: in ONNX a name is given once.

    Args:
        loaded: the SavedModel, which must outlive its signatures.
        function: the signature of the endpoint.
        endpoint: what is written.
        path: file to write.

    Raises:
        UnsupportedEndpointError: if it needs an operation that ONNX lacks.
    """
    specs = list(function.structured_input_signature[1].values())

    @tf.function(input_signature=specs, autograph=False)
    def answer(*inputs):
        given = {spec.name: value for spec, value in zip(specs, inputs, strict=True)}
        return {_output_name(name, given): x for name, x in function(**given).items()}

    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # what it cannot write is found below
    try:
        model, _ = tf2onnx.convert.from_function(
            answer, input_signature=specs, opset=_OPSET, custom_op_handlers=_HANDLERS
        )
    except Exception as error:  # whatever a graph that it has not met makes it do
        raise UnsupportedEndpointError(f"tf2onnx: {error}".splitlines()[0]) from error
    lacks = {node.op_type for node in model.graph.node if not onnx.defs.has(node.op_type, node.domain)}
    if lacks:
        raise UnsupportedEndpointError(f"ONNX lacks {', '.join(sorted(lacks))}")
    _name_axes(model, endpoint)
    onnx.save(model, path)


def _output_name(name: str, inputs: dict[str, Any]) -> str:
    return name + OUTPUT_SUFFIX if name in inputs else name


def _name_axes(model: onnx.ModelProto, endpoint: Endpoint) -> None:
    for given in model.graph.input:
        axes = given.type.tensor_type.shape.dim
        for axis, size in zip(axes, endpoint.inputs[given.name].shape, strict=True):
            if isinstance(size, str):
                axis.dim_param = size


def _replaced(context: Any, node: Any) -> dict[str, Any]:
    """Takes a node out of the graph; returns what the one in its place has to answer with."""
    kept = {"outputs": list(node.output), "shapes": node.output_shapes, "dtypes": node.output_dtypes}
    context.remove_node(node.name)
    return kept


def _constant(context: Any, values: np.ndarray) -> str:
    return context.make_const(tf2onnx.utils.make_name("constant"), values).output[0]


def _write_erfc(context: Any, node: Any, name: str, args: Any) -> None:
    """1 - erf(x): the exact GELU of TensorFlow."""
    (x,) = node.input
    one = _constant(context, np.ones((), "float32"))
    kept = _replaced(context, node)
    erf = context.make_node("Erf", [x]).output[0]
    context.make_node("Sub", [one, erf], **kept)


def _write_rfft(context: Any, node: Any, name: str, args: Any) -> None:
    """The transform of the last axis; complex numbers are pairs in an axis of their own."""
    x, length = node.input
    rank = context.get_rank(x)
    kept = _replaced(context, node)
    real = context.make_node("Unsqueeze", [x, _constant(context, np.array([-1]))]).output[0]
    length = context.make_node("Cast", [length], attr={"to": onnx.TensorProto.INT64}).output[0]
    length = context.make_node("Squeeze", [length]).output[0]
    context.make_node("DFT", [real, length], attr={"axis": rank - 1, "onesided": 1}, **kept)


def _write_part(place: int) -> Any:
    def write(context: Any, node: Any, name: str, args: Any) -> None:
        (pairs,) = node.input
        kept = _replaced(context, node)
        context.make_node("Gather", [pairs, _constant(context, np.array(place))], attr={"axis": -1}, **kept)

    return write


# Of what our models and mel features use, tf2onnx 1.17 lacks these.
_HANDLERS = {
    "Erfc": (_write_erfc, []),
    "RFFT": (_write_rfft, []),
    "Real": (_write_part(0), []),
    "Imag": (_write_part(1), []),
}
