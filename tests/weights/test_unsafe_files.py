"""Nothing in a file of weights is run, and none makes the reader take more memory or time than its size."""

import functools
import os
import pickle
import tracemalloc

import numpy as np
import pytest

from tests.weights.files import Reduce, haiku_pickle, tensor_call, tensors, zip_of
from zorro_keras.weights import WeightsError, read_checkpoint
from zorro_keras.weights.haiku_pickle import read_haiku_pickle
from zorro_keras.weights.pickle_machine import read_pickle
from zorro_keras.weights.torch_zip import read_torch_zip

READERS = {"haiku": read_haiku_pickle, "torch": lambda data: read_torch_zip(zip_of(data))}


def touching(path):
    return f"open({str(path)!r}, 'w').close()"


def was_touched(_, path):
    return path.exists()


# What a file could try with a path: the object, the name in the refusal, and what Python's unpickler does.
ATTACKS = {
    "os.system": (lambda path: Reduce(os.system, f"touch {path}"), "posix.system", was_touched),
    "eval": (lambda path: Reduce(eval, touching(path)), "builtins.eval", was_touched),
    "exec deep inside": (lambda path: {"a": [Reduce(exec, touching(path))]}, "builtins.exec", was_touched),
    "open": (lambda path: Reduce(open, str(path), "xb", 0), "io.open", was_touched),
    "getattr": (
        lambda path: Reduce(getattr, str(path), "upper"),
        "builtins.getattr",
        lambda found, path: found() == str(path).upper(),
    ),
    "a call in a call": (
        lambda path: Reduce(functools.partial, Reduce(eval, touching(path))),
        "functools.partial",
        was_touched,
    ),
    "an array of objects": (
        lambda path: np.array([Reduce(eval, touching(path))], object),
        "O8|numpy",
        was_touched,
    ),
    "a path": (lambda path: path, "pathlib", lambda found, path: found == path),
}


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_malicious_pickle_is_refused_by_name_and_not_run(attack, tmp_path):
    path, (thing, named, ran) = tmp_path / "touched", ATTACKS[attack]
    data = pickle.dumps({"module": {"leaf": thing(path)}}, 4)
    for read in READERS.values():
        with pytest.raises(WeightsError, match=named):
            read(data)
    assert not path.exists()
    # The positive control: Python's own unpickler runs it.
    try:
        found = pickle.loads(data)["module"]["leaf"]
    except TypeError:  # eval's result is no function for functools.partial: it ran nevertheless
        found = None
    assert ran(found, path)


def text(value):
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


# Every instruction that calls, making a folder.
CALLS = {
    "REDUCE": lambda path: b"\x80\x02cos\nmkdir\n" + text(path) + b"\x85R.",
    "STACK_GLOBAL": lambda path: b"\x80\x04" + text("os") + text("mkdir") + b"\x93" + text(path) + b"\x85R.",
    "INST": lambda path: b"(" + text(path) + b"ios\nmkdir\n.",
    "OBJ": lambda path: b"(cos\nmkdir\n" + text(path) + b"o.",
}


@pytest.mark.parametrize("instruction", CALLS)
def test_an_instruction_that_calls_is_refused_and_does_not(instruction, tmp_path):
    path = tmp_path / "made"
    data = CALLS[instruction](str(path))
    for read in READERS.values():
        with pytest.raises(WeightsError, match="os.mkdir|INST|OBJ"):
            read(data)
    assert not path.exists()
    pickle.loads(data)  # the positive control
    assert path.exists()


NAMES = {"a.named": None, "a.called": lambda *arguments: len(arguments)}
# A pickle that is refused, why, and its nearest neighbour, which is read.
NEIGHBOURS = {
    "an extension code": (b"\x80\x02\x82\x01.", "EXT1", b"\x80\x02K\x01."),
    "a new object": (b"\x80\x02ca\ncalled\n)\x81.", "NEWOBJ", b"\x80\x02ca\ncalled\n)R."),
    "a new object by keywords": (b"\x80\x04ca\ncalled\n)}\x92.", "NEWOBJ_EX", b"\x80\x04ca\ncalled\n)R."),
    "a name that is not called": (b"\x80\x02ca\nnamed\n)R.", "calls `a.named`", b"\x80\x02ca\nnamed\n."),
    "a name that is not known": (b"\x80\x02ca\nother\n.", "`a.other`", b"\x80\x02ca\nnamed\n."),
    "a call of a dict": (b"\x80\x02})R.", "an object of dict", b"\x80\x02}."),
    "a call with arguments that are none": (b"\x80\x02ca\ncalled\n}R.", "calls `a.called`", b"\x80\x02)."),
    "a call with nine arguments": (
        b"\x80\x02ca\ncalled\n(" + b"N" * 9 + b"tR.",
        "a call with 9 arguments",
        b"\x80\x02ca\ncalled\n(" + b"N" * 8 + b"tR.",
    ),
    "a state for a number": (b"\x80\x02K\x01}b.", "state of a int", b"\x80\x02}}b."),
    "bytes of a terabyte": (
        b"\x80\x04\x8e" + (2**40).to_bytes(8, "little") + b"a.",
        "expected 1099511627776 bytes",
        b"\x80\x04\x8e" + (1).to_bytes(8, "little") + b"a.",
    ),
    "text of four gigabytes": (b"\x80\x02X\xff\xff\xff\xffa.", "4294967295", b"\x80\x02X\x01\0\0\0a."),
    "no stop": (b"\x80\x02}", "damaged", b"\x80\x02}."),
    "nothing": (b"\x80\x02.", "leaves 0", b"\x80\x02N."),
    "two things": (b"\x80\x02NN.", "leaves 2", b"\x80\x02N."),
    "a mark": (b"\x80\x02(.", "damaged", b"\x80\x02(t."),
    "a stack too short": (b"\x80\x02a.", "too few objects", b"\x80\x02]Na."),
    "a mark taken for an object": (b"\x80\x02](a.", "too few objects", b"\x80\x02](Ne."),
    "a tuple without a mark": (b"\x80\x02Nt.", "a mark is missing", b"\x80\x02(Nt."),
    "items for a number": (b"\x80\x02K\x01Na.", "no list", b"\x80\x02]Na."),
    "a key without a value": (b"\x80\x02}(X\x01\0\0\0au.", "damaged", b"\x80\x02}(X\x01\0\0\0aNu."),
    "a memo that is empty": (b"\x80\x02h\x00.", "damaged", b"\x80\x02Nq\x00h\x00\x86."),
    "a persistent id": (b"\x80\x02K\x01Q.", "outside of itself", b"\x80\x02K\x01."),
    "an old persistent id": (b"\x80\x02Pabc\n.", "PERSID", b"\x80\x02N."),
    "keys that take for ever to hash": (
        b"\x80\x04})" + b"\x94h\x00\x86" * 3 + b"Ns.",
        "no dict of text",
        b"\x80\x04}X\x01\0\0\0aNs.",
    ),
}


@pytest.mark.parametrize("label", NEIGHBOURS)
def test_an_odd_pickle_is_refused_and_its_neighbour_read(label):
    odd, message, neighbour = NEIGHBOURS[label]
    with pytest.raises(WeightsError, match=message):
        read_pickle(odd, NAMES)
    read_pickle(neighbour, NAMES)


def laughs(depth=80):
    """Returns a tuple whose text has 2**depth brackets, and whose pickle has some hundred bytes."""
    laugh = ()
    for _ in range(depth):
        laugh = (laugh, laugh)
    return laugh


def array_of(shape=(1,), dtype=None, order="<", contents=bytes(4)):
    """Returns what pickles as an array with such a state."""
    dtype = Reduce(np.dtype, dtype or "f4", False, True, state=(3, order, None, None, None, -1, -1, 0))
    state = (1, shape, dtype, False, contents)
    reconstruct, *_ = np.zeros(1).__reduce__()  # lies in another module in each numpy
    return Reduce(reconstruct, np.ndarray, (0,), b"b", state=state)


LAUGHS = {
    "a leaf": lambda laugh: {"module": {"leaf": laugh}},
    "a module": lambda laugh: {"module": laugh},
    "all": lambda laugh: laugh,
    "a shape": lambda laugh: {"module": {"leaf": array_of(shape=laugh)}},
    "a size": lambda laugh: {"module": {"leaf": array_of(shape=(laugh,))}},
    "a number type": lambda laugh: {"module": {"leaf": array_of(dtype=laugh)}},
    "a byte order": lambda laugh: {"module": {"leaf": array_of(order=laugh)}},
    "contents": lambda laugh: {"module": {"leaf": array_of(contents=laugh)}},
}


@pytest.mark.parametrize("place", LAUGHS)
def test_no_error_writes_out_what_a_file_holds(place):
    for read in READERS.values():
        with pytest.raises(WeightsError) as caught:
            read(pickle.dumps(LAUGHS[place](laughs()), 4))
        assert len(str(caught.value)) < 600
    # Positive controls: without it the same is read, and to write it out would take for ever.
    assert read_haiku_pickle(pickle.dumps({"module": {"leaf": array_of()}}, 4)) == {"module/leaf": [0]}
    assert len(repr(laughs(12))) > 2**12 and len(pickle.dumps(laughs(), 4)) < 1000


@pytest.mark.parametrize("place", ["shape", "strides", "offset", "size"])
def test_no_error_writes_out_the_numbers_of_a_tensor(place):
    good = {"shape": (4,), "strides": (1,), "offset": 0, "size": 4}
    storage = [np.zeros(4, "float32").tobytes()]
    assert read_torch_zip(zip_of(tensor_call(**good), storage))["a"].shape == (4,)
    for odd in (laughs(), 2**2000, "a" * 10**5):
        with pytest.raises(WeightsError) as caught:
            read_torch_zip(zip_of(tensor_call(**{**good, place: odd}), storage))
        assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "size"),
    [
        ((2**40,), (0,), 0, 4),
        ((4,), (1,), 1, 4),
        ((2,), (-1,), 3, 4),
        ((4,), (1,), 0, 5),
        ((2, 2), (1,), 0, 4),
        ((1,) * 9, (0,) * 9, 0, 4),
        ((True,), (1,), 0, 4),
    ],
)
def test_a_tensor_stays_inside_its_storage(shape, strides, offset, size):
    storage = [np.arange(4, dtype="float32").tobytes()]
    with pytest.raises(WeightsError, match="a tensor|must hold 5 numbers"):
        read_torch_zip(zip_of(tensor_call(shape, strides, offset, size), storage))
    inside = read_torch_zip(zip_of(tensor_call((2, 2), (1, 2), 0, 4), storage))["a"]
    np.testing.assert_array_equal(inside, [[0, 2], [1, 3]])


@pytest.mark.parametrize("fault", [RecursionError, MemoryError, KeyError, TypeError, OverflowError])
def test_whatever_goes_wrong_inside_is_a_weights_error(fault):
    def construct():
        raise fault("too much")

    with pytest.raises(WeightsError, match="damaged: .*too much"):
        read_pickle(b"\x80\x02ca\nb\n)R.", {"a.b": construct})
    assert read_pickle(b"\x80\x02ca\nb\n)R.", {"a.b": lambda: 7}) == 7


def test_little_data_takes_little_memory():
    tensor = zip_of(tensor_call((0, 2**40), (1, 1), 0, 4), [bytes(16)])
    bombs = {
        "a place in the memo far away": (b"\x80\x02Nr\xff\xff\xff\xff.", lambda data: read_pickle(data, {})),
        "an empty tensor": (tensor, read_torch_zip),
        "a long tuple": (b"\x80\x02(" + b"N" * 10**4 + b"t.", lambda data: read_pickle(data, {})),
    }
    for data, read in bombs.values():
        tracemalloc.start()
        try:
            read(data)
        except WeightsError:
            pass
        finally:
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert peak < 3_000_000


def test_one_array_under_many_names_is_refused(tmp_path):
    """Each name would become a weight of its own."""
    array = np.zeros(10**4, "float32")
    for names, message in ((3, "must not hold"), (2, "must be those of a published")):
        data = haiku_pickle(arrays={f"module/{name}": array for name in range(names)})
        (tmp_path / "weights.pickle").write_bytes(data)
        with pytest.raises(WeightsError, match=message):
            read_checkpoint(tmp_path)


def test_a_deep_nest_is_refused_without_recursion():
    data = b"\x80\x02" + b")" + b"\x85" * 10**4 + b"."
    for read in READERS.values():
        with pytest.raises(WeightsError, match="a tuple of 1"):
            read(data)
    assert read_haiku_pickle(haiku_pickle()).keys() == tensors("deepmind").keys()
