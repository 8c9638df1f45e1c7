"""Haiku's own mapping of modules is read without Haiku, under both of its names."""

import pickletools

import numpy as np
import pytest

from tests.weights.files import FlatMapping, haiku_dumps
from zorro_keras.weights import WeightsError
from zorro_keras.weights.haiku_pickle import read_haiku_pickle

MODULES = {"perceiver/linear": {"w": np.arange(6.0).reshape(2, 3), "b": np.ones(3)}}


@pytest.mark.parametrize("name", ["FlatMapping", "FlatMap"])
@pytest.mark.parametrize(
    "tree",
    [
        FlatMapping(MODULES),
        {"params": FlatMapping(MODULES), "state": FlatMapping()},
        FlatMapping({module: FlatMapping(leaves) for module, leaves in MODULES.items()}),
    ],
    ids=["modules", "params and state", "modules and leaves"],
)
def test_a_mapping_is_read_as_the_dict_that_it_was_made_of(name, tree):
    data = haiku_dumps(tree, name)
    instructions = [(opcode.name, argument) for opcode, argument, _ in pickletools.genops(data)]
    for expected in (("SHORT_BINUNICODE", name), ("STACK_GLOBAL", None), ("REDUCE", None)):
        assert expected in instructions  # it is no plain dict
    found = read_haiku_pickle(data)
    assert list(found) == ["perceiver/linear/w", "perceiver/linear/b"]
    for leaf, array in MODULES["perceiver/linear"].items():
        np.testing.assert_array_equal(found[f"perceiver/linear/{leaf}"], array)


def test_a_mapping_of_no_dict_and_another_class_of_haiku_are_refused():
    text = b"X\1\0\0\0a"
    with pytest.raises(WeightsError, match="a mapping made of something else than a dict"):
        read_haiku_pickle(b"\x80\x02chaiku._src.data_structures\nFlatMapping\n" + text + b"\x85R.")
    with pytest.raises(WeightsError, match="the global `haiku._src.data_structures.Stack`"):
        read_haiku_pickle(haiku_dumps(FlatMapping(MODULES), "Stack"))
