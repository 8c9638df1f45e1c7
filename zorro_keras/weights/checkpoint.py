"""From a file or folder to named arrays, and whose model they are."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from zorro_keras.weights.error import WeightsError
from zorro_keras.weights.haiku_pickle import read_haiku_pickle
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
_PATTERNS = ("*.safetensors", "*.bin", "*.pystate", "*.pickle")
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
        some = ", ".join(sorted(tensors)[:5]) or "none"
        raise WeightsError(
            f"The tensors are of no published Perceiver IO model. Received: {len(tensors)}: {some} ..."
        )


def read_checkpoint(path):
    """Reads published weights; their content tells the format, the origin and the model.

    Args:
        path: str or path of a Hugging Face repository on disk, or of one file: `model.safetensors`,
            `pytorch_model.bin`, an index of several of these, or a `.pystate` or `.pickle` of DeepMind's. A
            `config.json` beside it is read too.

    Returns:
        `Checkpoint`.

    Raises:
        WeightsError: for a missing, damaged, unknown or unsafe file. Nothing in a file is ever executed.
    """
    path = _file(Path(path))
    return Checkpoint.recognise(_tensors(path), _json(path.with_name("config.json")))


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


def _tensors(path):
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error}") from error
    try:
        if path.suffix == ".json":
            return _sharded(path, data)
        return _reader(data)(data)
    except WeightsError as error:
        raise WeightsError(f"{path.name}: {error}") from error


def _reader(data):
    if data[:4] == b"PK\x03\x04":
        return read_torch_zip
    if _LEGACY_TORCH in data[:32]:
        raise WeightsError(
            "This is a file of torch before 1.6, which is not read. Load it with torch and save it again."
        )
    return read_haiku_pickle if data[:1] == b"\x80" else read_safetensors


def _sharded(path, data):
    """Returns the tensors that an index says lie in several files beside it."""
    places = _parsed(path.name, data).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(file, str) for file in places.values()):
        raise WeightsError("The index must map tensors to files.")
    tensors = {}
    for file in sorted(set(places.values())):
        if Path(file).name != file or file.endswith(".json"):
            raise WeightsError(f"The files of an index must lie beside it. Received: {file!r}")
        tensors.update(_tensors(path.with_name(file)))
    if set(tensors) != set(places):
        raise WeightsError(f"Index and files differ in: {', '.join(sorted(set(tensors) ^ set(places)))}")
    return tensors


def _json(path):
    return _parsed(path.name, path.read_bytes()) if path.is_file() else {}


def _parsed(name, data):
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{name} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{name} must hold a JSON object. Received: {type(content).__name__}")
    return content
