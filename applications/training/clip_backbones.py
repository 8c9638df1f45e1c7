"""Builds the backbone that a configuration names.

A further backbone is a function here, a row of `BACKBONES`, and its names in `clip_model_config`.
"""

from __future__ import annotations

from typing import Any

import keras_hub

from zorro_keras import streams
from zorro_keras.applications.training.clip_model_config import SEQUENCES
from zorro_keras.models import PerceiverIOBackbone, ZorroHiPBackbone, ZorroSwinBackbone, ZorroViTBackbone
from zorro_keras.routing import Routing


def build_backbone(config: Any) -> keras_hub.models.Backbone:
    """Returns the untrained backbone of a configuration.

    Args:
        config: with `data` a `DataConfig`, `model` a `ClipModelConfig`, and `training`.
    """
    return BACKBONES[config.model.backbone](config, described_streams(config))


def described_streams(config: Any) -> dict[str, streams.Stream]:
    """Returns what the backbone reads, by name: the clip of the configuration, preprocessed and cut."""
    model, clip = config.model, config.data.geometry
    if model.waveform_patch is not None:
        audio = streams.Waveform(clip.num_samples, (model.waveform_patch,))
    else:
        audio = streams.Spectrogram(model.spectrogram_frames, model.spectrogram_bins, model.spectrogram_patch)
    video = streams.Video(clip.num_frames, clip.height_px, clip.width_px, patch=model.video_patch)
    described = {"audio": audio, "video": video}
    return {name: described[name] for name in config.data.streams}


def zorro_vit(config: Any, described: dict[str, streams.Stream]) -> ZorroViTBackbone:
    """Returns an untrained Zorro-ViT."""
    model = config.model
    return ZorroViTBackbone.from_variant(
        model.variant,
        described,
        routing=getattr(Routing, model.routing)(described),
        num_fusion_tokens=model.num_fusion_tokens,
        dropout_rate=model.dropout_rate,
        stochastic_depth_rate=model.stochastic_depth_rate,
        remat=model.remat,
        seed=config.training.seed,
        **model.given("num_layers", "num_heads", "hidden_dim", "mlp_dim"),
    )


def zorro_swin(config: Any, described: dict[str, streams.Stream]) -> ZorroSwinBackbone:
    """Returns an untrained Zorro-Swin."""
    model = config.model
    windows = {"audio": model.spectrogram_window, "video": model.video_window}
    return ZorroSwinBackbone.from_variant(
        model.variant,
        described,
        routing=getattr(Routing, model.routing)(described),
        windows={name: windows[name] for name in described if windows[name]},
        num_fusion_tokens=model.num_fusion_tokens,
        fusion_every=model.fusion_every,
        stochastic_depth_rate=model.stochastic_depth_rate,
        remat=model.remat,
        seed=config.training.seed,
        **model.given("num_layers", "num_heads", "hidden_dim"),
    )


def zorro_hip(config: Any, described: dict[str, streams.Stream]) -> ZorroHiPBackbone:
    """Returns an untrained Zorro-HiP, without a way back."""
    model = config.model
    return ZorroHiPBackbone.from_variant(
        model.variant,
        described,
        routing=getattr(Routing, model.routing)(described),
        columns=model.given(*SEQUENCES["zorro_hip"]),
        dropout_rate=model.dropout_rate,
        stochastic_depth_rate=model.stochastic_depth_rate,
        remat=model.remat,
        seed=config.training.seed,
        **model.given("embed_dim"),
    )


_LATENT_DIMS = {"audioset": 512, "audioset_large": 1024}


def perceiver_io(config: Any, described: dict[str, streams.Stream]) -> PerceiverIOBackbone:
    """Returns an untrained Perceiver IO whose one answer is left to the task's head."""
    model = config.model
    return PerceiverIOBackbone.from_variant(
        "audioset_mel" if model.waveform_patch is None else "audioset_raw",
        audio=described.get("audio"),
        video=described.get("video"),
        num_classes=None,
        latent_dim=model.hidden_dim or _LATENT_DIMS[model.variant],
        dropout_rate=model.dropout_rate,
        remat=model.remat,
        seed=config.training.seed,
        **model.given("num_layers", "num_heads", "mlp_dim", "num_latents", "num_cross_heads"),
        **model.given("query_dim", "audio_bands", "video_bands", "key_chunk"),
    )


BACKBONES = {
    "zorro_vit": zorro_vit,
    "zorro_swin": zorro_swin,
    "zorro_hip": zorro_hip,
    "perceiver_io": perceiver_io,
}
