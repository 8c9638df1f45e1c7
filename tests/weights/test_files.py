"""Files of weights are read without their libraries, whole or not at all, and nothing in them is run."""

import functools
import io
import json
import os
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from zorro_keras.weights import Checkpoint, WeightsError, convert, read_checkpoint
from zorro_keras.weights.haiku_pickle import read_haiku_pickle
from zorro_keras.weights.names import rows
from zorro_keras.weights.safetensors_file import read_safetensors
from zorro_keras.weights.torch_zip import read_torch_zip

SIZES = {
    "num_latents": 3, "latent_dim": 8, "context_dim": 13, "query_dim": 8, "num_classes": 5,
}  # fmt: skip


def tensors(origin="hugging_face", model="image_fourier"):
    """Returns a tiny model's arrays under the names and in the order of axes of its origin."""
    arrays = {}
    for row in rows(model, 1):
        shape = [axis if isinstance(axis, int) else SIZES.get(axis, 8) for axis in row.axes]
        order = -1 if row.form == "matrix" and origin == "hugging_face" else 1
        arrays[getattr(row, origin)] = np.full(shape[::order], 0.5, "float32")
    return arrays


class Reduce:
    """Pickles as a call: what a malicious file would have."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def haiku_pickle(leaf=None, protocol=4):
    """Returns the pickle of a tiny model, with one leaf of one's own."""
    tree = {}
    for name, array in tensors("deepmind").items():
        module, end = name.rsplit("/", 1)
        tree.setdefault(module, {})[end] = array
    if leaf is not None:
        tree["extra"] = {"leaf": leaf}
    return pickle.dumps(tree, protocol)


class _TorchPickler(pickle._Pickler):
    """Writes arrays as torch does: a storage outside of the pickle and a call that rebuilds the tensor."""

    dispatch = dict(pickle._Pickler.dispatch)

    def __init__(self, file, storages):
        super().__init__(file, 2)
        self.storages = storages

    def save_array(self, array):
        self.storages.append(array.tobytes())
        key, kind = str(len(self.storages) - 1), {"f4": b"FloatStorage", "i8": b"LongStorage"}
        self.write(b"ctorch._utils\n_rebuild_tensor_v2\n((")
        self.save("storage")
        self.write(b"ctorch\n" + kind[array.dtype.str[1:]] + b"\n")
        for item in (key, "cpu", array.size):
            self.save(item)
        self.write(b"tQ")
        self.save(0)
        self.save(tuple(array.shape))
        self.save(tuple(stride // array.itemsize for stride in array.strides))
        self.write(b"\x89ccollections\nOrderedDict\n)RtR")

    dispatch[np.ndarray] = save_array


def torch_zip(contents, compression=zipfile.ZIP_STORED):
    """Returns the bytes of a file as `torch.save` writes it; every array becomes a tensor."""
    stream, data, storages = io.BytesIO(), io.BytesIO(), []
    _TorchPickler(data, storages).dump(contents)
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("archive/data.pkl", data.getvalue())
        archive.writestr("archive/byteorder", "little")
        for key, storage in enumerate(storages):
            archive.writestr(f"archive/data/{key}", storage)
    return stream.getvalue()


FORMATS = {
    "model.safetensors": (read_safetensors, lambda: save(tensors())),
    "pytorch_model.bin": (read_torch_zip, lambda: torch_zip(tensors())),
    "weights.pystate": (read_haiku_pickle, haiku_pickle),
}


@functools.cache
def written(name):
    return FORMATS[name][1]()


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_is_recognised_by_its_content(name, tmp_path):
    (tmp_path / "anything.bin").write_bytes(written(name))
    checkpoint = read_checkpoint(tmp_path / "anything.bin")
    assert checkpoint.model == "image_fourier"
    expected = tensors(checkpoint.origin)
    assert set(checkpoint.tensors) == set(expected)
    for tensor, array in checkpoint.tensors.items():
        np.testing.assert_array_equal(array, expected[tensor])


def test_several_files_with_an_index_are_one(tmp_path):
    whole = tensors()
    first = dict(list(whole.items())[:20])
    parts = {"a.safetensors": first, "b.safetensors": {k: v for k, v in whole.items() if k not in first}}
    for name, part in parts.items():
        (tmp_path / name).write_bytes(save(part))
    places = {tensor: name for name, part in parts.items() for tensor in part}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    assert set(read_checkpoint(tmp_path).tensors) == set(whole)
    index.write_text(json.dumps({"weight_map": {**places, "x": "../a.safetensors"}}))
    with pytest.raises(WeightsError, match="must lie beside it"):
        read_checkpoint(tmp_path)


def test_half_and_bfloat_numbers_become_floats():
    bits = np.array([1.0, -2.5], "float32").view("u4") >> 16
    header = json.dumps({"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    data = len(header).to_bytes(8, "little") + header + bits.astype("<u2").tobytes()
    np.testing.assert_array_equal(read_safetensors(data)["w"], np.array([1.0, -2.5], "float32"))


def test_numpy_scalars_and_column_major_arrays_are_read():
    scalar = read_haiku_pickle(haiku_pickle(np.float32(2.5)))["extra/leaf"]
    columns = read_haiku_pickle(haiku_pickle(np.asfortranarray(np.arange(6.0).reshape(2, 3))))["extra/leaf"]
    assert scalar == np.float32(2.5)
    np.testing.assert_array_equal(columns, np.arange(6.0).reshape(2, 3))


# What a file could try, given a path to touch, and the words that must be in the refusal.
ATTACKS = {
    "os.system": (lambda path: Reduce(os.system, f"touch {path}"), "posix.system"),
    "eval": (lambda path: Reduce(eval, touching(path)), "builtins.eval"),
    "exec deep inside": (lambda path: {"a": [Reduce(exec, touching(path))]}, "builtins.exec"),
    "getattr": (lambda path: Reduce(getattr, str(path), "upper"), "builtins.getattr"),
    "a call in a call": (
        lambda path: Reduce(functools.partial, Reduce(eval, touching(path))),
        "functools.partial",
    ),
    "numpy.load": (lambda path: Reduce(np.load, str(path), None, True), "numpy.load"),
    "an array of objects": (lambda path: np.array([Reduce(eval, touching(path))], object), "O8|numpy"),
    "a path": (lambda path: path, "pathlib"),
}


def touching(path):
    return f"open({str(path)!r}, 'w').close()"


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_malicious_pickle_is_refused_by_name_and_not_run(attack, tmp_path):
    path, (thing, named) = tmp_path / "touched", ATTACKS[attack]
    data = pickle.dumps({"module": {"leaf": thing(path)}}, 4)
    with pytest.raises(WeightsError, match=named):
        read_haiku_pickle(data)
    with pytest.raises(WeightsError, match=named):
        read_torch_zip(_zip_of(data))
    assert not path.exists()


def test_a_plain_unpickler_would_have_run_it(tmp_path):
    """The positive control of the attacks."""
    path = tmp_path / "touched"
    pickle.loads(pickle.dumps({"module": {"leaf": ATTACKS["eval"][0](path)}}, 4))
    assert path.exists()


def _zip_of(data):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", data)
    return stream.getvalue()


BOMBS = {
    "an extension code": b"\x80\x02\x82\x01.",
    "a memo of four billion": b"\x80\x02N" + b"r\xff\xff\xff\xff" + b"j\xff\xff\xff\xff0.",
    "an instance": b"\x80\x02(cos\nsystem\nX\x01\x00\x00\x00ao.",
    "the old instance": b"\x80\x02(X\x01\x00\x00\x00aios\nsystem\n.",
    "a new object": b"\x80\x02cbuiltins\nobject\n)\x81.",
    "bytes of a terabyte": b"\x80\x04\x8e" + (2**40).to_bytes(8, "little") + b"a.",
    "text of a terabyte": b"\x80\x04\x8d" + (2**40).to_bytes(8, "little") + b"a.",
    "a call of a dict": b"\x80\x02})R.",
    "a call of an array type": b"\x80\x04cnumpy\nndarray\n)R.",
    "a state for a number": b"\x80\x02K\x01}b.",
    "no stop": b"\x80\x02}",
    "nothing": b"\x80\x02.",
    "a mark": b"\x80\x02(.",
    "a stack too short": b"\x80\x02a.",
    "a persistent id": b"\x80\x02K\x01Q.",
    "an old persistent id": b"\x80\x02Pabc\n.",
    "keys that take for ever to hash": b"\x80\x04})" + b"\x94h\x00\x86" * 3 + b"K\x01s.",
}


@pytest.mark.parametrize("label", BOMBS)
def test_an_odd_pickle_is_refused(label):
    with pytest.raises(WeightsError):
        read_haiku_pickle(BOMBS[label])
    with pytest.raises(WeightsError):
        read_torch_zip(_zip_of(BOMBS[label]))


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "size"),
    [
        ((2**40,), (0,), 0, 4),
        ((4,), (1,), 1, 4),
        ((2,), (-1,), 3, 4),
        ((4,), (1,), 0, 5),
        ((2, 2), (1,), 0, 4),
    ],
)
def test_a_tensor_stays_inside_its_storage(shape, strides, offset, size):
    call = b"ctorch._utils\n_rebuild_tensor_v2\n(("
    call += b"X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
    numbers = [pickle.dumps(item, 2)[2:-1] for item in (size, offset, shape, strides)]
    call += numbers[0] + b"tQ" + b"".join(numbers[1:]) + b"tR"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}X\x01\x00\x00\x00a" + call + b"s.")
        archive.writestr("archive/data/0", np.zeros(4, "float32").tobytes())
    with pytest.raises(WeightsError):
        read_torch_zip(stream.getvalue())


def test_a_compressed_zip_and_the_torch_of_old_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="compressed"):
        read_torch_zip(torch_zip(tensors(), zipfile.ZIP_DEFLATED))
    (tmp_path / "old.bin").write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, 2))
    with pytest.raises(WeightsError, match="torch before 1.6"):
        read_checkpoint(tmp_path / "old.bin")


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
def test_a_damaged_file_is_a_weights_error_or_reads_as_another(name, data):
    read, whole = FORMATS[name][0], written(name)
    if data.draw(st.booleans()):
        damaged = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        damaged = bytearray(whole)
        # Most of a file is numbers: headers and names are where damage hurts.
        near = st.one_of(st.integers(0, 400), st.integers(1, len(whole)).map(lambda back: len(whole) - back))
        for place in data.draw(st.lists(near, min_size=1, max_size=4)):
            damaged[place % len(whole)] ^= 1 << data.draw(st.integers(0, 7))
    try:
        arrays = read(bytes(damaged))
    except WeightsError:
        return
    assert sum(array.nbytes for array in arrays.values()) <= 2 * len(whole)


@given(junk=st.binary(max_size=300))
def test_junk_is_a_weights_error(junk):
    for read, prefix in (
        (read_safetensors, b""),
        (read_haiku_pickle, b"\x80\x04"),
        (read_torch_zip, b"PK\3\4"),
    ):
        try:
            read(prefix + junk)
        except WeightsError:
            continue


def test_a_missing_an_unknown_and_a_misshapen_tensor_are_named():
    good = tensors()
    name = "perceiver.encoder.self_attends.0.mlp.dense1.weight"
    missing = {key: value for key, value in good.items() if key != name}
    with pytest.raises(WeightsError, match=f"missing: {name}"):
        convert(Checkpoint.recognise(missing))
    with pytest.raises(WeightsError, match="unknown: perceiver.more"):
        convert(Checkpoint.recognise({**good, "perceiver.more": np.zeros(3, "float32")}))
    with pytest.raises(WeightsError, match=f"{name}` is misshapen.*latent_dim must have size 8"):
        convert(Checkpoint.recognise({**good, name: np.zeros((8, 7), "float32")}))
    with pytest.raises(WeightsError, match=f"{name}` must have the axes"):
        convert(Checkpoint.recognise({**good, name: np.zeros((8,), "float32")}))
    with pytest.raises(WeightsError, match=f"{name}` must hold floats. Received: dtype=int64"):
        convert(Checkpoint.recognise({**good, name: np.zeros((8, 8), "int64")}))


def test_what_belongs_to_no_model_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="no published Perceiver IO model"):
        Checkpoint.recognise({"bert.weight": np.zeros(3, "float32")})
    with pytest.raises(WeightsError, match="with 0 of them"):
        read_checkpoint(tmp_path)
    with pytest.raises(WeightsError, match="with 0 of them"):
        read_checkpoint(tmp_path / "absent")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"semantics": "other"}, "`semantics` must be one of"),
        ({"kernel_order": (0, 1, 2, 3)}, "`kernel_order` must be one of"),
        ({"sizes": {"heads": 3}}, "unknown \\['heads'\\]"),
        ({"sizes": {"num_heads": 0}}, "`num_heads` must be a positive whole number"),
        ({"sizes": {"num_heads": 3}}, "must divide"),
        ({"sizes": {"max_resolution": (3,)}}, "as many resolutions"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(WeightsError, match=message):
        convert(Checkpoint.recognise(tensors()), **settings)


@pytest.mark.parametrize(
    "config",
    [
        {"num_blocks": "3"},
        {"num_self_attention_heads": -1},
        {"hidden_act": "mish"},
        {"use_query_residual": False},
    ],
)
def test_a_config_that_cannot_be_is_refused(config):
    with pytest.raises(WeightsError, match="Received|query residual"):
        convert(Checkpoint.recognise(tensors(), config))
