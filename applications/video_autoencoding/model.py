"""Builds the autoencoder that a configuration describes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from zorro_keras.applications.training.start_weights import StartReport, preprocessing_of, start_backbone
from zorro_keras.applications.video_autoencoding.autoencoder import VideoAutoencoder
from zorro_keras.applications.video_autoencoding.config import Config
from zorro_keras.applications.video_autoencoding.preprocessor import VideoAutoencoderPreprocessor
from zorro_keras.models import PerceiverIOBackbone

# Where the settings that weights depend on are set: the last word of a layer's setting -> configuration key.
_KEYS = {
    "num_bands": "model.num_bands",
    "num_latents": "model.num_latents",
    "latent_dim": "model.latent_dim",
    "num_layers": "model.num_layers",
    "num_repeats": "model.num_repeats",
    "num_heads": "model.num_heads",
    "output_dim": "model.output_dim",
    "query_residual": "model.query_residual",
    "activation": "model.semantics",
    "patch": "model.video_patch",
    **dict.fromkeys(
        ("frames", "height_px", "width_px", "samples", "grid", "max_resolution"), "data.geometry"
    ),
}


def build_model(config: Config, label_names: Sequence[str]) -> VideoAutoencoder:
    """Returns the untrained autoencoder of a configuration, its preprocessor attached."""
    clip, model = config.data.geometry, config.model
    backbone = PerceiverIOBackbone.from_variant(
        "autoencoder",
        semantics=model.semantics,
        num_frames=clip.num_frames,
        size_px=(clip.height_px, clip.width_px),
        num_samples=clip.num_samples,
        num_classes=len(label_names),
        video_patch=model.video_patch,
        label_mask_rate=model.label_mask_rate,
        dropout_rate=model.dropout_rate,
        key_chunk=model.key_chunk,
        remat=model.remat,
        seed=config.training.seed,
        **model.sizes(),
    )
    preprocessor = VideoAutoencoderPreprocessor(clip, label_names)
    return VideoAutoencoder(
        backbone, preprocessor, model.loss_weights, model.points_per_chunk, model.reconstruction_loss
    )


def start_weights(model: VideoAutoencoder, config: Config) -> StartReport | None:
    """Starts a model from `model.pretrained`, before its first step; without that, does nothing.

    Returns:
        What was copied: all but the label's last layer, and that, too, where the preset's classes have the
        names of the data's, in the same order.

    Raises:
        CheckpointError: if it cannot be read, or was made with other clips, sizes or activation.
    """
    if config.model.pretrained is None:
        return None
    ours = model.preprocessor.label_names
    theirs = preprocessing_of(config.model.pretrained).get("label_names")
    report = start_backbone(
        model.backbone,
        config.model.pretrained,
        semantics=config.model.semantics,
        preprocessing={"geometry": model.preprocessor.geometry.get_config()},
        keys=_KEYS,
        heads=("audio", "image", "label") if ours == theirs else ("audio", "image"),
    )
    kept = "kept: the classes have the same names" if ours == theirs else "fresh: it is of other classes"
    return dataclasses.replace(report, note=f"The label's last layer is {kept}.")
