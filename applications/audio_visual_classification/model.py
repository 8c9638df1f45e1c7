"""Builds the classifier that a configuration describes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from zorro_keras import metrics
from zorro_keras.applications.audio_visual_classification.backbones import BACKBONES, described_streams
from zorro_keras.applications.audio_visual_classification.classifier import AudioVisualClassifier
from zorro_keras.applications.audio_visual_classification.config import Config
from zorro_keras.applications.audio_visual_classification.preprocessor import AudioVisualPreprocessor
from zorro_keras.applications.training.start_weights import StartReport, start_backbone
from zorro_keras.applications.training.start_zorro import start_zorro
from zorro_keras.applications.training.window_means import mean_over_windows
from zorro_keras.layers import LogMelSpectrogram

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


def build_model(config: Config, label_names: Sequence[str]) -> AudioVisualClassifier:
    """Returns the untrained classifier of a configuration, its preprocessor attached."""
    preprocessor = AudioVisualPreprocessor(config.data.geometry, _log_mel(config), label_names)
    # The training loop smooths the labels where it checks them; the loss must not do it again.
    return AudioVisualClassifier(
        BACKBONES[config.model.backbone](config, described_streams(config)),
        len(label_names),
        multi_label=config.model.multi_label,
        preprocessor=preprocessor,
    )


def start_weights(model: AudioVisualClassifier, config: Config) -> StartReport | None:
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


def _log_mel(config: Config) -> LogMelSpectrogram | None:
    model, clip = config.model, config.data.geometry
    if model.waveform_patch is not None:
        return None
    return LogMelSpectrogram.from_specification(
        model.spectrogram_specification,
        sample_rate_hz=clip.sample_rate_hz,
        num_bins=model.spectrogram_bins,
        hop_seconds=clip.num_samples // model.spectrogram_frames / clip.sample_rate_hz,
        mean=model.spectrogram_mean,
        std=model.spectrogram_std,
    )


def epoch_metrics(
    predictions: Mapping[str, np.ndarray],
    labels: np.ndarray,
    sample_weight: np.ndarray,
    window_ids: Sequence[str] | None = None,
) -> dict[str, float]:
    """Returns, by head, the exact figures over a whole split that are no means over its batches.

    Args:
        predictions: dict of head to logits `(B, K)`.
        labels: floats `(B, K)` in {0, 1}.
        sample_weight: floats `(B,)`; padding has 0.
        window_ids: optional sequence of str, the clip of each row that is no padding. Several windows of a
            clip count once, by the mean of their logits.
    """
    if window_ids is not None:
        predictions, labels, sample_weight = mean_over_windows(predictions, labels, sample_weight, window_ids)
    figures = {}
    for head, logits in predictions.items():
        auc = metrics.mean_roc_auc(labels, logits, sample_weight)
        figures[f"{head}_mean_average_precision"] = metrics.mean_average_precision(
            labels, logits, sample_weight
        )
        figures[f"{head}_roc_auc"] = auc
        figures[f"{head}_d_prime"] = metrics.d_prime(auc)
    return figures
