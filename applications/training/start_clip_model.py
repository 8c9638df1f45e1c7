"""Starts a model of clips from an earlier one, or from published weights of its backbone."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from zorro_keras.applications.training.start_weights import StartReport, start_backbone
from zorro_keras.applications.training.start_zorro import start_zorro

# Where the settings that weights depend on are set: the last word of a setting, or a stream for its patch.
_SIZES = ("num_layers", "num_heads", "hidden_dim", "mlp_dim", "num_latents", "num_cross_heads", "query_dim")
_KEYS = {
    **{
        name: f"model.{name}"
        for name in (*_SIZES, "num_fusion_tokens", "routing", "fusion_every", "embed_dim")
    },
    "latent_dim": "model.hidden_dim",
    "audio": "model.spectrogram_patch",
    "video": "model.video_patch",
    "audio window": "model.spectrogram_window",
    "video window": "model.video_window",
    "mean": "model.spectrogram_mean",
    "std": "model.spectrogram_std",
    "num_bins": "model.spectrogram_bins",
    "hop_seconds": "model.spectrogram_frames",
    "sample_rate_hz": "data.geometry.sample_rate_hz",
}


def start_weights(model: keras.Model, config: Any) -> StartReport | None:
    """Starts a model from `model.pretrained`, before its first step; without that, does nothing.

    Returns:
        What was copied of the backbone. The heads start fresh.

    Raises:
        CheckpointError: if it cannot be read, or was made with other sizes, patches or spectrograms.
    """
    if config.model.pretrained is None:
        return None
    log_mel = model.preprocessor.log_mel if "audio" in model.backbone.streams else None
    heard = {} if log_mel is None else {"log_mel": keras.saving.serialize_keras_object(log_mel)}
    start = start_backbone if config.model.backbone == "perceiver_io" else start_zorro
    report = start(model.backbone, config.model.pretrained, preprocessing=heard, keys=_KEYS)
    return dataclasses.replace(report, note=f"The heads are fresh. {report.note}".rstrip())
