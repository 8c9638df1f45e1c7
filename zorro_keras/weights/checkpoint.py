"""From a file or folder to named arrays, and whose model they are."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from zorro_keras.weights.error import WeightsError, listed, short, shown
from zorro_keras.weights.haiku_pickle import read_haiku_pickle
from zorro_keras.weights.json_file import parsed
from zorro_keras.weights.names import MARKS
from zorro_keras.weights.safetensors_file import read_safetensors
from zorro_keras.weights.torch_zip import read_torch_zip

# In a folder, the first of these that is there is read.
_NAMES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_PATTERNS = ("*.safetensors", "*.bin", "*.pth", "*.pystate", "*.pickle")
_SHARD = re.compile(r"\w[\w.-]*\.(safetensors|bin)", re.ASCII)
# What other models are told by, and who reads them.
_OTHERS = {
    re.compile(r"relative_position_bias_table$"): "These are of a Swin: use `load_swin` or `convert_swin`. ",
    re.compile(r"embeddings\.cls_token$"): "These are of a vision transformer: use `load_vit`. ",
}
HDF5 = b"\x89HDF\r\n\x1a\n"
_LEGACY_TORCH = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"  # the number that torch wrote first, before it wrote zips


@dataclass(frozen=True)
class Checkpoint:
    """Published weights as they lie in their file.

    Attributes:
        origin: "hugging_face" or "deepmind".
        model: "language", "text_classification", "image_learned", "image_fourier", "image_conv",
            "optical_flow" or "autoencoder".
        tensors: dict of name to numpy array.
        config: dict, Hugging Face's `config.json`; empty where there is none.
    """

    origin: str
    model: str
    tensors: dict = field(repr=False)
    config: dict = field(default_factory=dict, repr=False)

    @classmethod
    def recognise(cls, tensors, config=None):
        """Returns the checkpoint of named arrays: names alone tell its origin and its model.

        Raises:
            WeightsError: if they are of none of the models.
        """
        origin = "hugging_face" if any(name.startswith("perceiver.") for name in tensors) else "deepmind"
        for mark, model in MARKS[origin].items():
            if mark in tensors:
                return cls(origin, model, dict(tensors), dict(config or {}))
        hint = next((hint for mark, hint in _OTHERS.items() if any(map(mark.search, tensors))), "")
        raise WeightsError(
            f"The tensors must be those of a published Perceiver IO model. {hint}"
            f"Received: {len(tensors)}: {listed(tensors) or 'none'}"
        )


def read_checkpoint(path):
    """Reads published weights; their content tells the format, the origin and the model.

    Args:
        path: str or path of a Hugging Face repository on disk, or of one file: `model.safetensors`,
            `pytorch_model.bin`, an index of several of these, or a `.pystate` or `.pickle` of DeepMind's. A
            `config.json` beside a file of Hugging Face's is read too.

    Returns:
        `Checkpoint`.

    Raises:
        WeightsError: for a missing, damaged, unknown or unsafe file. Nothing in a file is ever executed.
    """
    path, tensors = read_tensors(path)
    try:
        checkpoint = Checkpoint.recognise(tensors)
    except WeightsError as error:
        raise WeightsError(f"{path.name}: {error}") from error
    return checkpoint if checkpoint.origin == "deepmind" else replace(checkpoint, config=read_config(path))


def read_tensors(path):
    """Returns the file of weights that a path stands for, and its arrays by name, whatever model they are of.

    Raises:
        WeightsError: as `read_checkpoint`.
    """
    path = _file(Path(path))
    return path, _tensors(path)


def read_config(path):
    """Returns the `config.json` beside a file of weights; empty where there is none."""
    config = path.with_name("config.json")
    return parsed(config.name, _read(config)) if config.is_file() else {}


def _file(path):
    if path.is_file():
        return path
    named = [path / name for name in _NAMES if (path / name).is_file()]
    found = named[:1] or [file for pattern in _PATTERNS for file in sorted(path.glob(pattern))]
    if len(found) != 1:
        raise WeightsError(
            f"`path` must be a file of weights, or a folder with one. Received: {path} "
            f"with {len(found)} of them"
        )
    return found[0]


def _read(path):
    try:
        return path.read_bytes()
    except (OSError, MemoryError) as error:
        raise WeightsError(f"{path} cannot be read: {error}") from error


def _tensors(path):
    data = _read(path)
    try:
        if path.suffix == ".json":
            return _sharded(path, data)
        tensors = _reader(data)(data)
        # A tensor can be there under many names: all of them may need no more memory than the file justifies,
        # which is twice its size for numbers of 16 bits.
        if (amount := sum(tensor.nbytes for tensor in tensors.values())) > 2 * len(data):
            raise WeightsError(
                f"{len(data)} bytes must not hold more numbers. Received: {amount} bytes of them"
            )
        return tensors
    except WeightsError as error:
        raise WeightsError(f"{path.name}: {error}") from error


def _reader(data):
    if data[:4] == b"PK\x03\x04":
        return read_torch_zip
    if _LEGACY_TORCH in data[:32]:
        raise WeightsError(
            "This is a file of torch before 1.6, which is not read. Load it with torch and save it again."
        )
    if data.startswith(HDF5):
        raise WeightsError(
            "This is a file of Keras, as `save_weights` writes it. One of KerasCV's Video Swin is read by "
            "`load_swin` and `convert_swin`; any other by the model that wrote it."
        )
    # A safetensors file begins with the length of its header, whose first byte may be a pickle's, too.
    is_safetensors = data[4:9] == b"\0\0\0\0{"
    return read_haiku_pickle if data[:1] == b"\x80" and not is_safetensors else read_safetensors


def _sharded(path, data):
    """Returns the tensors that an index says lie in several files beside it."""
    places = parsed("The index", data).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(file, str) for file in places.values()):
        raise WeightsError(f"`weight_map` must map tensors to names of files. Received: {shown(places)}")
    tensors = {}
    for file in sorted(set(places.values())):
        if not _SHARD.fullmatch(file):
            raise WeightsError(f"The files of an index must lie beside it. Received: {shown(file)}")
        for name, tensor in _tensors(path.with_name(file)).items():
            if places.get(name) != file:
                raise WeightsError(
                    f"`{short(name)}` must lie in {shown(places.get(name))}. Received: {short(file)}"
                )
            tensors[name] = tensor
    if missing := set(places) - set(tensors):
        raise WeightsError(f"These tensors of the index are in none of its files: {listed(missing)}")
    return tensors
