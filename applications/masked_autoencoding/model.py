"""Builds the masked autoencoder that a configuration describes."""

from __future__ import annotations

from collections.abc import Sequence

from zorro_keras import streams
from zorro_keras.applications.masked_autoencoding.autoencoder import MaskedClipAutoencoder
from zorro_keras.applications.masked_autoencoding.config import Config
from zorro_keras.applications.masked_autoencoding.preprocessor import MaskedClipPreprocessor
from zorro_keras.models import HiPBackbone


def build_model(config: Config, label_names: Sequence[str] = ()) -> MaskedClipAutoencoder:
    """Returns the untrained autoencoder of a configuration, its preprocessor attached. It has no classes."""
    model = config.model
    preprocessor = MaskedClipPreprocessor(
        config.data.geometry, model.pixel_mean, model.pixel_std, model.sample_std
    )
    return MaskedClipAutoencoder(build_backbone(config), preprocessor, model.mask_rate, config.training.seed)


def build_backbone(config: Config) -> HiPBackbone:
    """Returns the untrained HiP of a configuration."""
    clip, model = config.data.geometry, config.model
    return HiPBackbone.from_variant(
        model.variant,
        {
            "video": streams.Video(clip.num_frames, clip.height_px, clip.width_px, patch=model.video_patch),
            "audio": streams.Waveform(clip.num_samples, (model.samples_per_patch,)),
        },
        dropout_rate=model.dropout_rate,
        stochastic_depth_rate=model.stochastic_depth_rate,
        remat=model.remat,
        seed=config.training.seed,
        **model.sizes(),
    )
