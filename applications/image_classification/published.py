"""Published weights as a classifier that can be asked: what `zorro-keras convert` writes."""

from __future__ import annotations

from collections.abc import Sequence

from zorro_keras.applications.image_classification.classifier import ImageClassifier
from zorro_keras.applications.image_classification.config import IMAGENET_MEAN, IMAGENET_STD
from zorro_keras.applications.image_classification.preprocessor import ImagePreprocessor
from zorro_keras.models import PerceiverIOBackbone


def published_task(
    backbone: PerceiverIOBackbone, label_names: Sequence[str]
) -> tuple[ImageClassifier | None, str]:
    """Returns the classifier with the published preprocessing, and what it reads in words.

    That is the centred square of 224/256 of the shorter side, bicubic to the model's size, normalised by
    ImageNet's mean and deviation.

    Args:
        backbone: of published weights, its input `image`, its output `label`.
        label_names: K names, in the order of the logits.

    Returns:
        The classifier, not compiled; `None`, and the reason in words, for pictures that it cannot prepare.

    Reference:
        Perceiver IO, arXiv 2107.14795, appendix A, and the image processor of huggingface/transformers.
    """
    height, width, channels = backbone.streams["image"].shape
    if height != width or channels != 3:
        return None, f"its pictures, {height} x {width} x {channels}, are not square and of three colours"
    preprocessor = ImagePreprocessor(height, IMAGENET_MEAN, IMAGENET_STD, label_names)
    return ImageClassifier(backbone, preprocessor, compile=False), f"pictures of {height} px"
