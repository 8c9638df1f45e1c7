"""Builds the classifier that a configuration describes."""

from __future__ import annotations

from collections.abc import Sequence

from zorro_keras.applications.image_classification.classifier import ImageClassifier
from zorro_keras.applications.image_classification.config import Config
from zorro_keras.applications.image_classification.preprocessor import ImagePreprocessor
from zorro_keras.models import PerceiverIOBackbone


def build_model(config: Config, label_names: Sequence[str]) -> ImageClassifier:
    """Returns the untrained classifier of a configuration, its preprocessor attached.

    Labels are smoothed where they are read, by the training: the model's own loss does not smooth again.
    """
    data, model = config.data, config.model
    backbone = PerceiverIOBackbone.from_variant(
        model.variant,
        semantics=model.semantics,
        size_px=data.size_px,
        num_classes=len(label_names),
        dropout_rate=model.dropout_rate,
        key_chunk=model.key_chunk,
        remat=model.remat,
        seed=config.training.seed,
        **model.sizes(),
    )
    preprocessor = ImagePreprocessor(data.size_px, data.mean, data.std, label_names, data.crop_fraction)
    return ImageClassifier(backbone, preprocessor)
