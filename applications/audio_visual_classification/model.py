"""Builds the classifier that a configuration describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from zorro_keras import metrics
from zorro_keras.applications.audio_visual_classification.classifier import AudioVisualClassifier
from zorro_keras.applications.audio_visual_classification.config import Config
from zorro_keras.applications.training.audio_visual_preprocessor import build_preprocessor
from zorro_keras.applications.training.clip_backbones import build_backbone
from zorro_keras.applications.training.start_clip_model import start_weights
from zorro_keras.applications.training.window_means import mean_over_windows

__all__ = ["build_model", "epoch_metrics", "start_weights"]


def build_model(config: Config, label_names: Sequence[str]) -> AudioVisualClassifier:
    """Returns the untrained classifier of a configuration, its preprocessor attached."""
    backbone = build_backbone(config)
    backbone.trainable = not config.model.freeze_backbone
    # The training loop smooths the labels where it checks them; the loss must not do it again.
    return AudioVisualClassifier(
        backbone,
        len(label_names),
        multi_label=config.model.multi_label,
        preprocessor=build_preprocessor(config, label_names),
    )


def epoch_metrics(
    predictions: Mapping[str, np.ndarray],
    labels: np.ndarray,
    sample_weight: np.ndarray,
    window_ids: Sequence[str] | None = None,
    presence: Mapping[str, np.ndarray] | None = None,
) -> dict[str, float]:
    """Returns, by head, the exact figures over a whole split that are no means over its batches.

    Args:
        predictions: dict of head to logits `(B, K)`.
        labels: floats `(B, K)` in {0, 1}.
        sample_weight: floats `(B,)`; padding has 0.
        window_ids: optional sequence of str, the clip of each row that is no padding. Several windows of a
            clip count once, by the mean of their logits.
        presence: optional dict of stream to bool `(B,)`. With `window_ids`: a window that lacks what a head
            reads counts only where the clip has no other.
    """
    if window_ids is not None:
        predictions, labels, sample_weight = mean_over_windows(
            predictions, labels, sample_weight, window_ids, presence
        )
    figures = {}
    for head, logits in predictions.items():
        auc = metrics.mean_roc_auc(labels, logits, sample_weight)
        figures[f"{head}_mean_average_precision"] = metrics.mean_average_precision(
            labels, logits, sample_weight
        )
        figures[f"{head}_roc_auc"] = auc
        figures[f"{head}_d_prime"] = metrics.d_prime(auc)
    return figures
