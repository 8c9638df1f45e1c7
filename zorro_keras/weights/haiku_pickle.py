"""Reads DeepMind's pickles of Haiku parameters, without Haiku and without running them."""

import math
import re

import numpy as np

from zorro_keras.weights.error import WeightsError, short, shown
from zorro_keras.weights.pickle_machine import Name, read_pickle
from zorro_keras.weights.safetensors_file import widened

_DTYPE = re.compile(r"[<>|=]?([biuf][1248]|c8|c16)")
_BFLOAT16 = "ml_dtypes.bfloat16"  # a number type that numpy knows by this package only


def read_haiku_pickle(data):
    """Returns the arrays of a pickle of Haiku parameters as a dict of "module/leaf" to array.

    Args:
        data: bytes of a pickled dict of module to dict of leaf to array, or of a dict of two of those,
            `params` and `state`.

    Raises:
        WeightsError: for anything else, and for whatever names more than the few constructors of arrays.

    Reference:
        The files of google-deepmind/deepmind-research, folder perceiver.
    """
    tree = read_pickle(data, _NAMES)
    if not isinstance(tree, dict):
        raise WeightsError(f"The pickle must hold a dict of modules. Received: {shown(tree)}")
    parts = [tree["params"], tree.get("state", {})] if "params" in tree else [tree]
    arrays = {}
    for part in parts:
        arrays.update(_flat(part))
    return arrays


def _flat(part):
    modules = part if isinstance(part, dict) else None
    if modules is None or not all(isinstance(leaves, dict) for leaves in modules.values()):
        raise WeightsError("The pickle must hold dicts of module to dict of leaf to array.")
    arrays = {}
    for module, leaves in modules.items():
        for leaf, value in leaves.items():
            array = value.array if isinstance(value, _Array) else value
            if not isinstance(array, (np.ndarray, np.generic)):
                raise WeightsError(
                    f"`{short(f'{module}/{leaf}')}` must be an array. Received: {shown(value)}"
                )
            arrays[f"{module}/{leaf}"] = np.asarray(array)
    return arrays


class _Dtype:
    """A number type: numpy pickles its size first and its byte order afterwards."""

    def __init__(self, code, *_):
        self.is_bfloat16 = isinstance(code, Name) and code.text == _BFLOAT16
        code = "u2" if self.is_bfloat16 else code
        found = _DTYPE.fullmatch(code) if isinstance(code, str) else None
        if found is None:
            raise WeightsError(f"Weights are arrays of numbers. Received: dtype={shown(code)}")
        self.dtype = np.dtype(found[1])

    def set_state(self, state):
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if not isinstance(order, str) or order not in ("<", ">", "|", "="):
            raise ValueError("a number type without a byte order")
        self.dtype = self.dtype.newbyteorder(order)

    def read(self, data):
        """Returns the flat array of numbers that bytes hold."""
        flat = np.frombuffer(data, self.dtype)
        return widened(flat) if self.is_bfloat16 else flat


class _Array:
    """An array: numpy pickles it empty first and its contents afterwards."""

    array = None

    def __init__(self, *_):
        pass

    def set_state(self, state):
        if not isinstance(state, tuple) or len(state) != 5:
            raise ValueError("an array without contents")
        _, shape, dtype, column_major, data = state
        if not isinstance(dtype, _Dtype) or not isinstance(data, bytes) or not isinstance(shape, tuple):
            raise ValueError("an array whose contents are no numbers")
        if len(shape) > 8 or not all(type(size) is int and size >= 0 for size in shape):
            raise ValueError(f"an array of the shape {shown(shape)}")
        if math.prod(shape) * dtype.dtype.itemsize != len(data):
            raise ValueError(f"an array of the shape {shown(shape)} with {len(data)} bytes")
        self.array = dtype.read(data).reshape(shape, order="F" if column_major is True else "C")


def _scalar(dtype, data):
    if not isinstance(dtype, _Dtype) or not isinstance(data, bytes) or len(data) != dtype.dtype.itemsize:
        raise ValueError("a number without its bytes")
    return dtype.read(data)[0]


def _mapping(mapping):
    if not isinstance(mapping, dict):
        raise ValueError("a mapping made of something else than a dict")
    return mapping


def ordered_dict():
    """Stands for `collections.OrderedDict`, which Python 3 pickles empty first and its items afterwards."""
    return {}


def _new_array(kind, *_):
    if not isinstance(kind, Name) or kind.text != "numpy.ndarray":
        raise ValueError("an array of another type than numpy.ndarray")
    return _Array()


_NAMES = {
    "collections.OrderedDict": ordered_dict,
    "haiku._src.data_structures.FlatMapping": _mapping,
    "haiku._src.data_structures.FlatMap": _mapping,
    "numpy.ndarray": None,
    "numpy.dtype": _Dtype,
    _BFLOAT16: None,
    **{
        f"numpy.{core}.multiarray.{name}": construct
        for core in ("core", "_core")
        for name, construct in (("_reconstruct", _new_array), ("scalar", _scalar))
    },
}
