"""Files of weights as their publishers' libraries write them, and as someone malicious would."""

import io
import pickle
import zipfile

import numpy as np

from zorro_keras.weights.names import rows

SIZES = {
    "num_latents": 3, "latent_dim": 8, "context_dim": 13, "query_dim": 8, "num_classes": 5,
}  # fmt: skip


def tensors(origin="hugging_face", model="image_fourier", **sizes):
    """Returns a tiny model's arrays under the names and in the order of axes of its origin."""
    arrays, sizes = {}, {**SIZES, **sizes}
    for row in rows(model, 1):
        shape = [axis if isinstance(axis, int) else sizes.get(axis, 8) for axis in row.axes]
        if origin == "hugging_face":
            shape = {"matrix": shape[::-1], "kernel": shape[::-1], "pointwise": [*shape[::-1], 1, 1]}.get(
                row.form, shape
            )
        elif row.form in ("channels", "pointwise"):
            shape = [*[1] * (4 - len(shape)), *shape]
        arrays[getattr(row, origin)] = np.full(shape, 0.5, "float32")
    return arrays


def haiku_pickle(leaf=None, arrays=None, protocol=4):
    """Returns the pickle of a tiny model, with one leaf of one's own."""
    tree = {}
    for name, array in (tensors("deepmind") if arrays is None else arrays).items():
        module, end = name.rsplit("/", 1)
        tree.setdefault(module, {})[end] = array
    if leaf is not None:
        tree["extra"] = {"leaf": leaf}
    return pickle.dumps(tree, protocol)


class FlatMapping(dict):
    """Is pickled by `haiku_dumps` as Haiku's mapping of modules, which need not be installed."""


class _HaikuPickler(pickle._Pickler):
    """Writes a `FlatMapping` as Haiku does: its class, called on one dict."""

    dispatch = dict(pickle._Pickler.dispatch)

    def __init__(self, file, name):
        super().__init__(file, 4)
        self.name = name

    def save_mapping(self, mapping):
        self.save("haiku._src.data_structures")
        self.save(self.name)
        self.write(pickle.STACK_GLOBAL)
        self.save((dict(mapping),))
        self.write(pickle.REDUCE)

    dispatch[FlatMapping] = save_mapping


def haiku_dumps(tree, name="FlatMapping"):
    """Returns the pickle of a tree; Haiku of old called its mapping `FlatMap`."""
    data = io.BytesIO()
    _HaikuPickler(data, name).dump(tree)
    return data.getvalue()


class _TorchPickler(pickle._Pickler):
    """Writes arrays as torch does: a storage outside of the pickle and a call that rebuilds the tensor."""

    dispatch = dict(pickle._Pickler.dispatch)
    kinds = {
        "float32": b"Float", "int64": b"Long", "float64": b"Double", "float16": b"Half", "bool": b"Bool",
        "bfloat16": b"BFloat16", "complex64": b"ComplexFloat",
    }  # fmt: skip

    def __init__(self, file, storages):
        super().__init__(file, 2)
        self.storages = storages

    def save_array(self, array):
        self.storages.append(array.tobytes())
        self.write(b"ctorch._utils\n_rebuild_tensor_v2\n((")
        self.save("storage")
        self.write(b"ctorch\n" + self.kinds[array.dtype.name] + b"Storage\n")
        for item in (str(len(self.storages) - 1), "cpu", array.size):
            self.save(item)
        self.write(b"tQ")
        self.save(0)
        self.save(tuple(array.shape))
        self.save(tuple(stride // array.itemsize for stride in array.strides))
        self.write(b"\x89ccollections\nOrderedDict\n)RtR")

    dispatch[np.ndarray] = save_array


def torch_zip(contents, compression=zipfile.ZIP_STORED):
    """Returns the bytes of a file as `torch.save` writes it; every array becomes a tensor."""
    data, storages = io.BytesIO(), []
    _TorchPickler(data, storages).dump(contents)
    return zip_of(data.getvalue(), storages, compression)


def zip_of(data, storages=(), compression=zipfile.ZIP_STORED):
    """Returns the bytes of a zip as torch's, with such a pickle and such storages."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/byteorder", "little")
        for key, storage in enumerate(storages):
            archive.writestr(f"archive/data/{key}", storage)
    return stream.getvalue()


def tensor_call(shape, strides, offset, size, kind=b"Float"):
    """Returns the pickle of a dict with one tensor in storage 0, of whatever shape, strides and place."""
    call = b"ctorch._utils\n_rebuild_tensor_v2\n(("
    call += b"X\x07\x00\x00\x00storagectorch\n" + kind + b"Storage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
    numbers = [pickle.dumps(item, 2)[2:-1] for item in (size, offset, shape, strides)]
    call += numbers[0] + b"tQ" + b"".join(numbers[1:]) + b"tR"
    return b"\x80\x02}X\x01\x00\x00\x00a" + call + b"s."


class Reduce:
    """Pickles as a call, and as a state that is set afterwards: what a malicious file would have."""

    def __init__(self, function, *arguments, state=None):
        self.call = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.call
