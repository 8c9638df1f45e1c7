"""Builds the classifier that a configuration describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from zorro_keras import metrics
from zorro_keras.applications.audio_visual_classification.backbones import BACKBONES, described_streams
from zorro_keras.applications.audio_visual_classification.classifier import AudioVisualClassifier
from zorro_keras.applications.audio_visual_classification.config import Config
from zorro_keras.applications.audio_visual_classification.preprocessor import AudioVisualPreprocessor
from zorro_keras.applications.training.window_means import mean_over_windows
from zorro_keras.layers import LogMelSpectrogram


def build_model(config: Config, label_names: Sequence[str]) -> AudioVisualClassifier:
    """Returns the untrained classifier of a configuration, its preprocessor attached."""
    kind, build_backbone = BACKBONES[config.model.backbone]
    preprocessor = AudioVisualPreprocessor(config.data.geometry, _log_mel(config), label_names)
    # The training loop smooths the labels where it checks them; the loss must not do it again.
    return kind(
        build_backbone(config, described_streams(config)),
        len(label_names),
        multi_label=config.model.multi_label,
        preprocessor=preprocessor,
    )


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
