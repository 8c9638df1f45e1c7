"""What each weight of a Swin is called here, in the official code, at Hugging Face and in KerasCV.

Ours are attribute paths on a `SwinBackbone`, KerasCV's the same on its `VideoSwinBackbone`, with the name of
a layer in front: its variables are numbered by global counters, so that their paths are no names.
"""

from typing import NamedTuple

import numpy as np


class SwinRow(NamedTuple):
    """One weight: its four names, its form, and which third it is of a tensor that holds q, k and v."""

    ours: str
    official: str
    hugging_face: str
    keras_cv: str
    form: str
    third: int | None = None


_STEM = ("trunk.stem", "patch_embed", "embeddings", "videoswin_patching_and_embedding")
_THIRDS = {"query": 0, "key": 1, "value": 2}
_BLOCK_NORMS = (
    ("attention_norm", "norm1", "layernorm_before", "norm1"),
    ("mlp_norm", "norm2", "layernorm_after", "norm2"),
)
_BLOCK_LINEARS = (
    ("attention.projections.output_dense", "attn.proj", "attention.output.dense", "attn.proj"),
    ("mlp.hidden_dense", "mlp.fc1", "intermediate.dense", "mlp.fc1"),
    ("mlp.output_dense", "mlp.fc2", "output.dense", "mlp.fc2"),
)
_TABLE = "relative_position_bias_table"


def swin_rows(num_layers):
    """Returns the rows of a Swin whose stages have so many blocks, in the order of the model."""
    rows = [
        *_linear(_placed(_STEM, ("projection", "proj", "patch_embeddings.projection", "proj")), "patch"),
        *_norm(("trunk.stem_norm", *(f"{place}.norm" for place in _STEM[1:]))),
    ]
    for stage, layers in enumerate(num_layers):
        places = (f"layers.{stage}", f"encoder.layers.{stage}", f"videoswin_basic_layer_{stage + 1}")
        for layer in range(layers):
            theirs = (f"{place}.blocks.{layer}" for place in places)
            rows += _block((f"trunk.stages.{stage}.{layer}", *theirs))
        if stage + 1 < len(num_layers):
            merging = (f"trunk.mergings.{stage}", *(f"{place}.downsample" for place in places))
            rows += _norm(_placed(merging, ["norm"] * 4))
            rows += _linear(_placed(merging, ["reduction"] * 4))[:1]
    return (*rows, *_norm(("trunk.norm", "norm", "layernorm", "videoswin_top_norm")))


def _block(places):
    table = _placed(
        places, ("attention.bias_table", f"attn.{_TABLE}", f"attention.self.{_TABLE}", f"attn.{_TABLE}")
    )
    rows = [SwinRow(*table, "table")]
    for name, third in _THIRDS.items():
        names = (f"attention.projections.{name}_dense", "attn.qkv", f"attention.self.{name}", "attn.qkv")
        rows += _linear(_placed(places, names), third=third)
    for names in _BLOCK_NORMS:
        rows += _norm(_placed(places, names))
    for names in _BLOCK_LINEARS:
        rows += _linear(_placed(places, names))
    return rows


def _placed(places, names):
    return tuple(f"{place}.{name}" for place, name in zip(places, names, strict=True))


def _norm(names):
    leaves = (("gamma", "weight", "weight", "gamma"), ("beta", "bias", "bias", "beta"))
    return [SwinRow(*_placed(names, leaf), "vector") for leaf in leaves]


def _linear(names, form="matrix", third=None):
    return [
        SwinRow(*_placed(names, ("kernel", "weight", "weight", "kernel")), form, third),
        SwinRow(*_placed(names, ["bias"] * 4), "vector", third),
    ]


def swin_to_ours(row, origin, array):
    """Returns a tensor of a row, as an origin stores it, in our order of axes.

    Torch has the outputs of a kernel first. The kernel of the patches `(*patch, C, D)` is ours with one row
    for each value of a patch, its channels fastest; the thirds of a tensor of q, k and v lie one after the
    other along its outputs.
    """
    if origin != "keras_cv" and row.form == "matrix":
        array = array.T
    if row.form == "patch":
        if origin != "keras_cv":
            array = np.moveaxis(array, (0, 1), (-1, -2))  # D C *patch -> *patch C D
        array = array.reshape(-1, array.shape[-1])
    if row.third is not None and origin != "hugging_face":
        array = np.split(array, 3, axis=-1)[row.third]
    return array
