"""Published weights as an autoencoder that can be asked: what `zorro-keras convert` writes."""

from __future__ import annotations

from collections.abc import Sequence

from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.video_autoencoding.autoencoder import VideoAutoencoder
from zorro_keras.applications.video_autoencoding.preprocessor import VideoAutoencoderPreprocessor
from zorro_keras.models import PerceiverIOBackbone

_FRAME_RATE_HZ = 25


def published_task(
    backbone: PerceiverIOBackbone, label_names: Sequence[str]
) -> tuple[VideoAutoencoder | None, str]:
    """Returns the autoencoder with the published preprocessing, and what it reads in words.

    That is 25 frames a second in [0, 1], and the waveform at the rate at which it lasts as long.

    Args:
        backbone: of published weights, its inputs and outputs `audio`, `image` and `label`.
        label_names: K names, in the order of the logits.

    Returns:
        The autoencoder, not compiled; `None`, and the reason in words, for clips that it cannot prepare.

    Reference:
        Perceiver IO, arXiv 2107.14795, appendix on multimodal autoencoding.
    """
    frames, height, width, channels = backbone.streams["image"].shape
    (samples,) = backbone.streams["audio"].shape
    if channels != 3 or samples * _FRAME_RATE_HZ % frames:
        return None, f"{samples} samples beside {frames} frames of {channels} colours are no clip at 25 Hz"
    rate = samples * _FRAME_RATE_HZ // frames
    clip = ClipGeometry(frames / _FRAME_RATE_HZ, rate, frames, height, width)
    task = VideoAutoencoder(backbone, VideoAutoencoderPreprocessor(clip, label_names), compile=False)
    return task, f"clips of {frames} frames, {height} x {width} px, and {samples} samples at {rate} Hz"
