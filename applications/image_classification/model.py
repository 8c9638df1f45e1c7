"""Builds the classifier that a configuration describes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from zorro_keras.applications.image_classification.classifier import ImageClassifier
from zorro_keras.applications.image_classification.config import Config
from zorro_keras.applications.image_classification.preprocessor import ImagePreprocessor
from zorro_keras.applications.pipelines.image_classes import same_classes
from zorro_keras.applications.training.start_weights import StartReport, preprocessing_of, start_backbone
from zorro_keras.models import PerceiverIOBackbone

# Where the settings that weights depend on are set: the last word of a layer's setting -> configuration key.
_KEYS = {
    "num_bands": "model.num_bands",
    "num_latents": "model.num_latents",
    "latent_dim": "model.latent_dim",
    "num_layers": "model.num_layers",
    "num_repeats": "model.num_repeats",
    "num_heads": "model.num_heads",
    "activation": "model.semantics",
    "semantics": "model.semantics",
    "height_px": "data.size_px",
    "width_px": "data.size_px",
    "grid": "data.size_px",
    "mean": "data.mean",
    "std": "data.std",
}


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


def start_weights(model: ImageClassifier, config: Config) -> StartReport | None:
    """Starts a model from `model.pretrained`, before its first step; without that, does nothing.

    Returns:
        What was copied: input, encoder, decoder and the class query; and the last layer where the preset's
        classes are the data's, in the same order (`same_classes`). Otherwise that starts fresh.

    Raises:
        CheckpointError: if it cannot be read, or was made with other pictures, sizes or activation.
    """
    if config.model.pretrained is None:
        return None
    settings = model.preprocessor.get_config()
    ours, theirs = settings["label_names"], preprocessing_of(config.model.pretrained).get("label_names")
    is_same = theirs is not None and same_classes(ours, theirs)
    report = start_backbone(
        model.backbone,
        config.model.pretrained,
        semantics=config.model.semantics,
        preprocessing={name: settings[name] for name in ("mean", "std")},
        keys=_KEYS,
        heads=("label",) if is_same else (),
    )
    return dataclasses.replace(report, note=_about_head(ours, theirs, is_same))


def _about_head(ours: Sequence[str], theirs: Sequence[str] | None, is_same: bool) -> str:
    if theirs is None:
        return "The head is fresh: the pretrained weights do not name their classes."
    if is_same:
        return f"The head is kept: the {len(ours)} classes are the same."
    if sorted(ours) == sorted(theirs):
        return "The head is fresh: the classes are the same in another order."
    return f"The head is fresh: the {len(ours)} classes are not the pretrained {len(theirs)}."
