"""A `VideoSwinBackbone` without KerasCV: objects of its attributes, and files as Keras has written them."""

import re
from types import SimpleNamespace

import h5py
import numpy as np

from tests.backend import array
from zorro_keras.weights.load import variable_at
from zorro_keras.weights.swin_names import swin_rows

_BLOCK, _STEM = "video_swin_transformer_block", "layers/video_swin_patching_and_embedding"
_SAVED = {  # by class and place
    "videoswin_patching_and_embedding.proj": f"{_STEM}/layers/conv3d",
    "videoswin_patching_and_embedding.norm": f"{_STEM}/layers/layer_normalization",
    "videoswin_top_norm": "layers/layer_normalization",
    "norm1": "layers/layer_normalization",
    "norm2": "layers/layer_normalization_1",
    "attn.qkv": "attn/layers/dense",
    "attn.proj": "attn/layers/dense_1",
    "mlp": "layers/mlp",
}


class VideoSwinBackbone:
    """What the importer asks of KerasCV's class."""

    patch_norm, qk_scale, include_rescaling = True, None, True

    def __init__(self, layers, embed_dim, num_heads):
        self.layers, self.embed_dim, self.num_heads = layers, embed_dim, num_heads


def tensors_of(backbone):
    """Returns the weights of a `SwinBackbone` of clips by KerasCV's names, in its order of axes."""
    (stream,) = backbone.streams.values()
    tensors = {}
    for row in swin_rows(backbone.num_layers):
        values = array(variable_at(backbone, row.ours))
        if row.form == "patch":
            values = values.reshape(*stream.patch, -1, values.shape[-1])
        if row.third:
            values = np.concatenate([tensors[row.keras_cv], values], axis=-1)
        tensors[row.keras_cv] = values
    return tensors


def faked(backbone, window, **settings):
    """Returns an object that looks like KerasCV's with the weights of a `SwinBackbone`."""
    layers = {}
    for name, values in tensors_of(backbone).items():
        parts = re.sub(r"blocks\.(\d+)", r"blocks_\1", name).split(".")
        layer = layers.setdefault(parts[0], SimpleNamespace(name=parts[0]))
        for part in parts[1:-1]:
            if not hasattr(layer, part):
                setattr(layer, part, SimpleNamespace())
            layer = getattr(layer, part)
        setattr(layer, parts[-1], values)
    for stage in layers.values():
        found = [vars(stage)[name] for name in sorted(vars(stage)) if name.startswith("blocks_")]
        if found:
            stage.blocks = found
        for block in found:
            block.attn.window_size = window
    fake = VideoSwinBackbone(list(layers.values()), backbone.hidden_dim, backbone.num_heads)
    vars(fake).update(settings)
    return fake


def saved_path(name):
    """Returns where Keras 3.15 saves a weight."""
    place, leaf = name.rsplit(".", 1)
    place = re.sub(r"videoswin_basic_layer_(\d+)", _stage, place)
    place = re.sub(r"blocks\.(\d+)", _numbered, place)
    for attribute, path in _SAVED.items():
        place = re.sub(rf"(^|\.){re.escape(attribute)}(?=$|\.)", rf"\1{path}", place)
    return f"{place.replace('.', '/')}/vars/{int(leaf in ('bias', 'beta'))}"


def _stage(match):
    return "layers/video_swin_basic_layer" + (f"_{int(match[1]) - 1}" if match[1] != "1" else "")


def _numbered(match):
    return f"blocks/{_BLOCK}" + (f"_{match[1]}" if match[1] != "0" else "")


def write(tensors, path, renamed=lambda place: place):
    """Writes a `.weights.h5` of weights by KerasCV's names."""
    with h5py.File(path, "w") as file:
        for name, values in tensors.items():
            file[renamed(saved_path(name))] = values
    return path
