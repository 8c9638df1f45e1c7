"""A vision transformer as keras-hub or Hugging Face publish it: its arrays in our order, and its settings."""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

import keras
import keras_hub
import numpy as np

from zorro_keras.weights import vit_rows
from zorro_keras.weights.axes import sizes_of
from zorro_keras.weights.checkpoint import read_config, read_tensors
from zorro_keras.weights.error import WeightsError, listed, shown
from zorro_keras.weights.forms import to_ours
from zorro_keras.weights.json_file import parsed
from zorro_keras.weights.load import variable_at
from zorro_keras.weights.settings import Setting

LARGEST_EPSILON = 1e-5  # Ours is 1e-6: where a token's variance is 0.1, its norm then differs by 5e-5
_LAYER = re.compile(r"encoder\.layer\.(\d+)\.")
_MAY_LACK = ("query.bias", "key.bias", "value.bias")  # `qkv_bias` of Hugging Face


@dataclass(frozen=True)
class VitSource:
    """Published weights of a vision transformer.

    Attributes:
        origin: "hugging_face" or "keras_hub".
        tensors: dict of name to array, as they lie in the source.
        trunk: tuple of `VitRow`.
        tokenizer: tuple of `VitRow`.
        num_layers: int, blocks.
        settings: dict of name to `Setting`; `num_heads` is `None` where nobody says it.
        unused: dict of tensor to the reason.
    """

    origin: str
    tensors: dict = field(repr=False)
    trunk: tuple = field(repr=False)
    tokenizer: tuple = field(repr=False)
    num_layers: int
    settings: dict
    unused: dict = field(repr=False)

    def name(self, row):
        """Returns what a row's tensor is called in the source."""
        return getattr(row, self.origin)

    def arrays(self):
        """Returns our array of each row that has a tensor, float32, and the sizes of the named axes.

        Raises:
            WeightsError: naming a tensor that is misshapen or holds no floats, and for positions of no grid.
        """
        rows = [row for row in (*self.trunk, *self.tokenizer) if self.name(row) in self.tensors]
        arrays = {
            row: to_ours(row, self.origin, self.name(row), self.tensors[self.name(row)]) for row in rows
        }
        return arrays, sizes_of(arrays, self.origin)


def read_vit(source):
    """Returns the `VitSource` of a `ViTBackbone`, of its preset's folder, or of Hugging Face's files.

    Raises:
        WeightsError: for anything else, and for settings that our blocks do not have.
    """
    if isinstance(source, keras_hub.models.ViTBackbone):
        return _of_keras_hub(source)
    if not isinstance(source, (str, Path)):
        raise WeightsError(
            "`source` must be a keras-hub `ViTBackbone`, the folder of its preset, or a Hugging Face "
            f"repository on disk or its file. Received: {type(source).__name__}"
        )
    path = Path(source)
    if not path.exists():
        raise WeightsError(
            "`source` must lie on disk: the folder of a preset, or a Hugging Face repository or its file. "
            "For the name of a preset pass `keras_hub.models.ViTBackbone.from_preset(name)`, or the folder "
            f"that its `save_to_preset` writes. Received: {source}"
        )
    if (path / "metadata.json").is_file() and (path / "config.json").is_file():
        return _of_keras_hub(_preset(path))
    return _of_hugging_face(path)


def _preset(path):
    kind = parsed("config.json", (path / "config.json").read_bytes()).get("class_name")
    if kind != "ViTBackbone":
        raise WeightsError(f"The preset must be one of keras-hub's ViTBackbone. Received: {shown(kind)}")
    try:
        return keras_hub.models.ViTBackbone.from_preset(str(path))
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise WeightsError(f"The preset in {path} cannot be read: {error}") from error


def _of_keras_hub(vit):
    _check_epsilon("layer_norm_epsilon", vit.layer_norm_epsilon)
    embeddings = vit.get_layer("vit_patching_and_embedding")
    parts = {"embeddings": embeddings, "encoder": vit.get_layer("vit_encoder")}
    trunk, tokenizer = vit_rows.trunk(vit.num_layers), vit_rows.tokenizer()
    variables = {row.keras_hub: variable_at(parts, row.keras_hub) for row in (*trunk, *tokenizer)}
    tensors = {
        name: _heads_joined(name, numbers(variable))
        for name, variable in variables.items()
        if variable is not None
    }
    unused = {}
    if vit.use_class_token:
        reason = vit_rows.UNUSED[vit_rows.CLASS_TOKEN["hugging_face"]]
        unused[vit_rows.CLASS_TOKEN["keras_hub"]] = reason
    grid = tuple(int(s) // p for s, p in zip(embeddings.image_size, embeddings.patch_size, strict=True))
    settings = {"num_heads": vit.num_heads, "epsilon": vit.layer_norm_epsilon, "grid": grid}
    settings = {name: Setting(value, "config") for name, value in settings.items()}
    return VitSource("keras_hub", tensors, trunk, tokenizer, vit.num_layers, settings, unused)


def numbers(variable):
    """Returns a numpy array, of floats as float32; what is quantised stays as it is, and is refused later."""
    if keras.backend.is_float_dtype(variable.dtype):
        variable = keras.ops.cast(variable, "float32")
    return keras.ops.convert_to_numpy(variable)


def _heads_joined(name, array):
    """Returns a weight of Keras' attention with the heads' channels on one axis, others as they are."""
    if ".mha." not in name or array.ndim == 1:
        return array
    if name.endswith("bias"):
        return array.reshape(-1)  # N H
    first = array.shape[0] if "output_dense" not in name else array.shape[0] * array.shape[1]
    return array.reshape(first, -1)  # (N, H, D) of the output, (D, N, H) of the others


def _of_hugging_face(path):
    path, tensors = read_tensors(path)
    config = read_config(path)
    prefix = "vit." if any(name.startswith("vit.") for name in tensors) else ""
    num_layers = len({found[1] for found in map(_LAYER.search, tensors) if found})
    trunk, tokenizer = vit_rows.trunk(num_layers, prefix), vit_rows.tokenizer(prefix)
    unused = _unused(tensors, prefix)
    wanted = {row.hugging_face for row in (*trunk, *tokenizer)}
    wanted.add(prefix + vit_rows.CLASS_TOKEN["hugging_face"])
    lacking = {name for name in wanted if name.endswith(_MAY_LACK)}
    if lacking.isdisjoint(tensors):
        wanted -= lacking
    faults = {"missing": wanted - set(tensors), "unknown": set(tensors) - wanted - set(unused)}
    if any(faults.values()):
        found = "; ".join(f"{fault}: {listed(names)}" for fault, names in faults.items() if names)
        raise WeightsError(f"The tensors must be those of a ViT. Received: {path.name} with {found}")
    grid = _grid(tensors, tokenizer, config)
    settings = {"grid": grid, **_settings(config)}
    return VitSource("hugging_face", tensors, trunk, tokenizer, num_layers, settings, unused)


def _unused(tensors, prefix):
    """Returns the reason for each tensor that has no counterpart here."""
    return {
        name: reason
        for name in tensors
        for beginning, reason in vit_rows.UNUSED.items()
        if name.removeprefix(prefix).startswith(beginning)
    }


def _settings(config):
    if (activation := config.get("hidden_act", "gelu")) != "gelu":
        raise WeightsError(
            f"`hidden_act` of config.json must be 'gelu', the exact one. Received: {shown(activation)}"
        )
    told = "config.json" if config else "published"
    _check_epsilon("layer_norm_eps", epsilon := config.get("layer_norm_eps", 1e-12))
    heads = config.get("num_attention_heads")
    if heads is not None and type(heads) is not int:
        raise WeightsError(
            f"`num_attention_heads` of config.json must be a whole number. Received: {shown(heads)}"
        )
    return {
        "num_heads": Setting(heads, told),
        "epsilon": Setting(epsilon, told),
        "activation": Setting(activation, told),
    }


def _check_epsilon(name, epsilon):
    if not isinstance(epsilon, (int, float)) or not 0 <= epsilon <= LARGEST_EPSILON:
        raise WeightsError(
            f"`{name}` must be at most {LARGEST_EPSILON:g}; the blocks here have 1e-6. "
            f"Received: {name}={shown(epsilon)}"
        )


def _grid(tensors, tokenizer, config):
    """Returns the rows and columns of patches, by `config.json` or as a square."""
    kernel, _, positions = (tensors[row.hugging_face] for row in tokenizer)
    if kernel.ndim != 4 or positions.ndim != 3:
        raise WeightsError(
            f"The patches' kernel must have 4 axes, and the positions 3. Received: {kernel.shape}, "
            f"{positions.shape}"
        )
    count = positions.shape[1] - 1
    side = math.isqrt(max(count, 0))
    grid, told = (side, side), "shapes"
    if "image_size" in config:
        grid, told = _pair(config["image_size"], kernel.shape[2:]), "config.json"
    if not count or math.prod(grid) != count:
        raise WeightsError(
            "The positions must be those of the class token and of a grid: that of `image_size` in "
            f"config.json, or a square. Received: {count} after the class token's, grid={grid}"
        )
    return Setting(grid, told)


def _pair(size, patch):
    sizes = [size, size] if type(size) is int else size
    if not isinstance(sizes, list) or len(sizes) != 2 or not all(type(each) is int for each in sizes):
        raise WeightsError(f"`image_size` of config.json must be one or two sizes. Received: {shown(size)}")
    return tuple(each // max(step, 1) for each, step in zip(sizes, patch, strict=True))


def without_class_token(positions, grid):
    """Returns the positions of the patches alone; a class token's comes first."""
    return np.asarray(positions)[len(positions) - math.prod(grid) :]
