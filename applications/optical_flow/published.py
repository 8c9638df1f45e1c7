"""Published weights as a model that can be asked: what `zorro-keras convert` writes."""

from __future__ import annotations

from collections.abc import Sequence

from zorro_keras.applications.optical_flow.optical_flow import OpticalFlow
from zorro_keras.applications.optical_flow.preprocessor import FlowPreprocessor
from zorro_keras.models import PerceiverIOBackbone


def published_task(
    backbone: PerceiverIOBackbone, label_names: Sequence[str]
) -> tuple[OpticalFlow | None, str]:
    """Returns the model with the published preprocessing, and what it reads in words.

    Args:
        backbone: of published weights, its input `frames`, its output `flow`.
        label_names: empty: flow has no classes.

    Returns:
        The model, not compiled; `None`, and the reason in words, where its frames are not of three colours.

    Reference:
        Perceiver IO, arXiv 2107.14795, and the notebook released with it: frames in [-1, 1], flow times 20.
    """
    _, height, width, channels = backbone.streams["frames"].shape
    if channels != 3:
        return None, f"its frames, of {channels} channels, are not of three colours"
    preprocessor = FlowPreprocessor((height, width))
    return OpticalFlow(
        backbone, preprocessor, compile=False
    ), f"pairs of frames, by tiles of {height} x {width} px"
