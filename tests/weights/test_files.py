"""Files of weights are read without their libraries, whole or not at all."""

import functools
import json
import pickle
import zipfile

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save

from tests.weights.files import haiku_pickle, tensors, torch_zip
from zorro_keras.weights import Checkpoint, WeightsError, read_checkpoint
from zorro_keras.weights.axes import MAX_LAYERS, arrays_of, rows_of, sizes_of
from zorro_keras.weights.forms import transform
from zorro_keras.weights.haiku_pickle import read_haiku_pickle
from zorro_keras.weights.safetensors_file import read_safetensors
from zorro_keras.weights.torch_zip import read_torch_zip

FORMATS = {
    "model.safetensors": (read_safetensors, save, "hugging_face"),
    "pytorch_model.bin": (read_torch_zip, torch_zip, "hugging_face"),
    "weights.pystate": (read_haiku_pickle, lambda arrays: haiku_pickle(arrays=arrays), "deepmind"),
}
NAME = {
    "hugging_face": "perceiver.encoder.self_attends.0.mlp.dense1.weight",
    "deepmind": "perceiver_encoder/~/self_attention/mlp/linear/w",
}


@functools.cache
def written(name):
    _, write, origin = FORMATS[name]
    return write(tensors(origin))


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_is_recognised_by_its_content(name, tmp_path):
    (tmp_path / "anything.bin").write_bytes(written(name))
    checkpoint = read_checkpoint(tmp_path / "anything.bin")
    assert (checkpoint.model, checkpoint.origin) == ("image_fourier", FORMATS[name][2])
    expected = tensors(checkpoint.origin)
    assert set(checkpoint.tensors) == set(expected)
    for tensor, array in checkpoint.tensors.items():
        np.testing.assert_array_equal(array, expected[tensor])


def test_a_safetensors_file_may_begin_with_the_byte_of_a_pickle(tmp_path):
    whole = tensors()
    beginnings = set()
    for length in range(32):  # headers are padded to eight bytes, so that one in 32 has such a length
        text = save(whole, {"note": "a" * 8 * length})
        beginnings.add(text[:1])
        (tmp_path / "model.safetensors").write_bytes(text)
        assert set(read_checkpoint(tmp_path).tensors) == set(whole)
    assert b"\x80" in beginnings


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_tensors_are_views_of_the_file(name):
    """A model of gigabytes is not copied on its way into the variables."""
    data = written(name)
    arrays = FORMATS[name][0](data)
    whole = np.frombuffer(data, "u1")
    assert all(np.shares_memory(array, whole) for array in arrays.values())
    checkpoint = Checkpoint.recognise(arrays)
    ours = arrays_of(checkpoint, rows_of(checkpoint)[0])
    assert all(np.shares_memory(array, whole) for array in ours.values())


def stored_as(dtype, name):
    """Returns a checkpoint with one tensor of another type of number."""
    read, write, origin = FORMATS[name]
    arrays = tensors(origin)
    arrays[NAME[origin]] = np.full(arrays[NAME[origin]].shape, 0.5, dtype)
    return Checkpoint.recognise(read(write(arrays))), origin


@pytest.mark.parametrize("dtype", ["float16", "float64", ml_dtypes.bfloat16])
@pytest.mark.parametrize("name", FORMATS)
def test_other_floats_are_cast_and_the_report_says_so(name, dtype):
    checkpoint, origin = stored_as(dtype, name)
    rows, *_ = rows_of(checkpoint)
    for row, array in arrays_of(checkpoint, rows).items():
        is_other = getattr(row, origin) == NAME[origin]
        note = f", cast from {np.dtype(dtype).name}"
        assert array.dtype == "float32" and (array == 0.5).all()
        assert transform(row, checkpoint).endswith(note) == is_other


@pytest.mark.parametrize("dtype", ["int64", "bool", "complex64"])
@pytest.mark.parametrize("name", FORMATS)
def test_what_is_no_float_is_refused_by_name(name, dtype):
    expected = "must hold floats" if (name, dtype) != ("model.safetensors", "complex64") else "must be of F64"
    with pytest.raises(WeightsError, match=f"{NAME[FORMATS[name][2]]}` {expected}.*Received: dtype="):
        checkpoint, _ = stored_as(dtype, name)
        arrays_of(checkpoint, rows_of(checkpoint)[0])


def test_numbers_too_large_for_float32_are_refused_and_infinity_is_not():
    arrays = tensors()
    name = NAME["hugging_face"]
    for value, fits in ((1e300, False), (np.inf, True)):
        checkpoint = Checkpoint.recognise({**arrays, name: np.full((8, 8), value)})
        rows, *_ = rows_of(checkpoint)
        if fits:
            arrays_of(checkpoint, rows)
            continue
        with pytest.raises(WeightsError, match=f"{name}` must fit float32"):
            arrays_of(checkpoint, rows)


def test_numpy_scalars_and_column_major_arrays_are_read():
    scalar = read_haiku_pickle(haiku_pickle(np.float32(2.5)))["extra/leaf"]
    columns = read_haiku_pickle(haiku_pickle(np.asfortranarray(np.arange(6.0).reshape(2, 3))))["extra/leaf"]
    assert scalar == np.float32(2.5)
    np.testing.assert_array_equal(columns, np.arange(6.0).reshape(2, 3))


def test_a_compressed_zip_and_the_torch_of_old_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="compressed"):
        read_torch_zip(torch_zip(tensors(), zipfile.ZIP_DEFLATED))
    (tmp_path / "old.bin").write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, 2))
    with pytest.raises(WeightsError, match="torch before 1.6"):
        read_checkpoint(tmp_path / "old.bin")


@pytest.fixture
def shards(tmp_path):
    """Returns a function that writes an index of two files, with changes, and its folder."""
    whole = tensors()
    first = dict(list(whole.items())[:20])
    parts = {"a.safetensors": first, "b.safetensors": {k: v for k, v in whole.items() if k not in first}}

    def write(changes=None, more_of_a=None):
        for name, part in parts.items():
            (tmp_path / name).write_bytes(save({**part, **(more_of_a or {})} if name[0] == "a" else part))
        places = {tensor: name for name, part in parts.items() for tensor in part}
        index = {"weight_map": {**places, **(changes or {})}}
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
        return tmp_path

    return write


def test_several_files_with_an_index_are_one(shards):
    assert set(read_checkpoint(shards()).tensors) == set(tensors())


@pytest.mark.parametrize(
    "file",
    ["../a.safetensors", "..", ".", "", "/etc/passwd", "a/../a.safetensors", "a\0.bin", ".hidden.bin",
     "..\\a.safetensors", "model.safetensors.index.json", "C:a.bin", "a.safetensors\n"],
)  # fmt: skip
def test_an_index_leads_to_no_file_elsewhere(file, shards):
    with pytest.raises(WeightsError, match="must lie beside it"):
        read_checkpoint(shards({"x": file}))


def test_an_index_and_its_files_must_agree(shards):
    first, last = list(tensors())[0], list(tensors())[-1]
    with pytest.raises(WeightsError, match="c.safetensors cannot be read"):
        read_checkpoint(shards({"x": "c.safetensors"}))
    with pytest.raises(WeightsError, match="in none of its files: x"):
        read_checkpoint(shards({"x": "a.safetensors"}))
    with pytest.raises(WeightsError, match=f"`{first}` must lie in 'b.safetensors'. Received: a.safetensors"):
        read_checkpoint(shards({first: "b.safetensors"}))
    with pytest.raises(WeightsError, match=f"`{last}` must lie in 'b.safetensors'. Received: a.safetensors"):
        read_checkpoint(shards(more_of_a={last: np.zeros(3, "float32")}))
    index = shards() / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"x": "a.bin", "x": "b.bin"}}')
    with pytest.raises(WeightsError, match="must name each key once. Received: 'x' twice"):
        read_checkpoint(index)


def header(entries, size):
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text + bytes(size)


def entry(begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": [(end - begin) // 4], "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("entries", "size", "message"),
    [
        ({"a": entry(0, 8), "b": entry(4, 12)}, 12, "`b` must begin at byte 8"),
        ({"a": entry(0, 8), "b": entry(0, 8)}, 8, "`b` must begin at byte 8"),
        ({"a": entry(0, 4), "b": entry(8, 12)}, 12, "`b` must begin at byte 4"),
        ({"a": entry(4, 8)}, 8, "`a` must begin at byte 0"),
        ({"a": entry(0, 4)}, 8, "must fill the file"),
        ({"a": entry(0, 12)}, 8, "must lie in the file's 8 bytes"),
        ({"a": {**entry(0, 4), "data_offsets": [4, 0]}}, 4, "must lie in the file's 4 bytes"),
        ({"a": {**entry(0, 4), "data_offsets": [-4, 0]}}, 4, "must lie in the file's 4 bytes"),
        ({"a": {**entry(0, 4), "data_offsets": [0, True]}}, 4, "must lie in the file's 4 bytes"),
        ({"a": {**entry(0, 4), "shape": [2]}}, 4, "shape \\(2\\). Received: 4 bytes"),
        ({"a": {**entry(0, 4), "shape": [-1]}}, 4, "must have a shape"),
        ({"a": {**entry(0, 4), "shape": [1] * 9}}, 4, "must have a shape"),
        ({"a": entry(0, 4, "F8_E4M3")}, 4, "must be of F64"),
        ({"a": entry(0, 4, ["F32"])}, 4, "must be of F64"),
        ({"a": [1]}, 4, "must have dtype, shape, data_offsets"),
        (b'{"a": 1, "a": 2}', 0, "must name each key once"),
        (b"[" * 10**5, 0, "must be JSON"),
        (b"[1]", 0, "must be a JSON object"),
    ],
)
def test_a_header_that_lies_is_refused(entries, size, message):
    with pytest.raises(WeightsError, match=message):
        read_safetensors(header(entries, size))
    good = read_safetensors(header({"a": entry(0, 4), "b": entry(4, 12)}, 12))
    assert {name: array.shape for name, array in good.items()} == {"a": (1,), "b": (2,)}


def test_a_missing_an_unknown_and_a_misshapen_tensor_are_named():
    def arrays(changed):
        checkpoint = Checkpoint.recognise(changed)
        sizes_of(arrays_of(checkpoint, rows_of(checkpoint)[0]), checkpoint.origin)

    good, name = tensors(), NAME["hugging_face"]
    arrays(good)
    with pytest.raises(WeightsError, match=f"missing: {name}"):
        arrays({key: value for key, value in good.items() if key != name})
    with pytest.raises(WeightsError, match="unknown: perceiver.more"):
        arrays({**good, "perceiver.more": np.zeros(3, "float32")})
    with pytest.raises(WeightsError, match=f"{name}` is misshapen.*latent_dim must have size 8"):
        arrays({**good, name: np.zeros((8, 7), "float32")})
    with pytest.raises(WeightsError, match=f"{name}` must have the axes"):
        arrays({**good, name: np.zeros((8,), "float32")})
    many = {f"perceiver.more{number}": np.zeros(1, "float32") for number in range(10**4)}
    with pytest.raises(WeightsError, match="perceiver.more1000, .* and 9988 more") as caught:
        arrays({**good, **many})
    assert len(str(caught.value)) < 600


def test_absurdly_many_layers_are_refused():
    layers = {
        f"perceiver.encoder.self_attends.{i}.x": np.zeros(1, "float32") for i in range(1, MAX_LAYERS + 1)
    }
    with pytest.raises(WeightsError, match="at most 1000 layers. Received: 1001"):
        rows_of(Checkpoint.recognise({**tensors(), **layers}))
    layers.popitem()
    with pytest.raises(WeightsError, match="missing"):
        rows_of(Checkpoint.recognise({**tensors(), **layers}))


def test_what_belongs_to_no_model_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="must be those of a published Perceiver IO model"):
        Checkpoint.recognise({"bert.weight": np.zeros(3, "float32")})
    with pytest.raises(WeightsError, match="with 0 of them"):
        read_checkpoint(tmp_path)
    with pytest.raises(WeightsError, match="with 0 of them"):
        read_checkpoint(tmp_path / "absent")


def test_a_config_belongs_to_files_of_hugging_face(tmp_path):
    (tmp_path / "config.json").write_text("{}}")
    for name in FORMATS:
        path = tmp_path / name
        path.write_bytes(written(name))
        if FORMATS[name][2] == "deepmind":
            assert read_checkpoint(path).config == {}
            continue
        with pytest.raises(WeightsError, match="config.json must be JSON"):
            read_checkpoint(path)
