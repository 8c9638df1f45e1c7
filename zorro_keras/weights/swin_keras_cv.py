"""The arrays of a `VideoSwinBackbone` of KerasCV, by the names of `swin_names`; KerasCV is not imported."""

import math

from zorro_keras.weights.error import WeightsError
from zorro_keras.weights.load import variable_at
from zorro_keras.weights.swin_names import swin_rows
from zorro_keras.weights.vit_source import numbers

_STAGE = "videoswin_basic_layer_"


def is_keras_cv(source):
    """Whether an object is a `VideoSwinBackbone`, told by the name of its class."""
    return any(kind.__name__ == "VideoSwinBackbone" for kind in type(source).__mro__)


def tensors_of(backbone):
    """Returns the arrays of a `VideoSwinBackbone`, float32.

    Raises:
        WeightsError: naming a weight that it lacks, and for settings that a Swin here has not.
    """
    parts = {layer.name: layer for layer in backbone.layers}
    _check_settings(backbone)
    tensors = {}
    for row in swin_rows([len(stage.blocks) for stage in _stages(backbone)]):
        try:
            variable = variable_at(parts, row.keras_cv)
        except (AttributeError, KeyError, IndexError) as error:
            raise WeightsError(
                f"The backbone must hold all weights of a Video Swin. Received: none at `{row.keras_cv}`"
            ) from error
        if variable is not None:
            tensors[row.keras_cv] = numbers(variable)
    return tensors


def windows_of(backbone):
    """Returns the window of each stage: where a stage's grid is smaller, its tables are made for the grid.

    Raises:
        WeightsError: for windows of other than as many rows as columns. KerasCV 0.9 exchanges the two where
            it looks up offsets, so that weights which were trained so mean other offsets than they say.
    """
    windows = tuple(tuple(int(s) for s in stage.blocks[0].attn.window_size) for stage in _stages(backbone))
    if any(rows != columns for _, rows, columns in windows):
        raise WeightsError(
            "The windows of every stage must have as many rows as columns: KerasCV looks up wrong offsets in "
            f"others. Received: {windows}"
        )
    return windows


def _stages(backbone):
    stages = [layer for layer in backbone.layers if layer.name.startswith(_STAGE)]
    return sorted(stages, key=lambda stage: int(stage.name.removeprefix(_STAGE)))


def _check_settings(backbone):
    if not backbone.patch_norm:
        raise WeightsError("`patch_norm` of the backbone must be True. Received: patch_norm=False")
    scale, usual = backbone.qk_scale, (backbone.embed_dim / backbone.num_heads[0]) ** -0.5
    if scale and not math.isclose(scale, usual):
        raise WeightsError(f"`qk_scale` of the backbone must be None or {usual:g}. Received: {scale}")
