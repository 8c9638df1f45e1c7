"""Builds the classifier that a configuration describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from zorro_keras import metrics, streams
from zorro_keras.applications.audio_visual_classification.classifier import AudioVisualClassifier
from zorro_keras.applications.audio_visual_classification.config import Config
from zorro_keras.applications.audio_visual_classification.preprocessor import AudioVisualPreprocessor
from zorro_keras.layers import LogMelSpectrogram
from zorro_keras.models import ZorroViTBackbone
from zorro_keras.routing import Routing


def build_model(config: Config, label_names: Sequence[str]) -> AudioVisualClassifier:
    """Returns the untrained classifier of a configuration, its preprocessor attached."""
    model, clip = config.model, config.data.geometry
    log_mel = LogMelSpectrogram(
        sample_rate_hz=clip.sample_rate_hz,
        num_bins=model.spectrogram_bins,
        hop_seconds=clip.num_samples // model.spectrogram_frames / clip.sample_rate_hz,
        mean=model.spectrogram_mean,
        std=model.spectrogram_std,
    )
    described = {
        "audio": streams.Spectrogram(
            model.spectrogram_frames, model.spectrogram_bins, model.spectrogram_patch
        ),
        "video": streams.Video(clip.num_frames, clip.height_px, clip.width_px, patch=model.video_patch),
    }
    described = {name: described[name] for name in config.data.streams}
    sizes = {name: getattr(model, name) for name in ("num_layers", "num_heads", "hidden_dim", "mlp_dim")}
    backbone = ZorroViTBackbone.from_variant(
        model.variant,
        described,
        routing=getattr(Routing, model.routing)(described),
        num_fusion_tokens=model.num_fusion_tokens,
        dropout_rate=model.dropout_rate,
        stochastic_depth_rate=model.stochastic_depth_rate,
        remat=model.remat,
        seed=config.training.seed,
        **{name: size for name, size in sizes.items() if size is not None},
    )
    preprocessor = AudioVisualPreprocessor(clip, log_mel, label_names)
    # The training loop smooths the labels where it checks them; the loss must not do it again.
    return AudioVisualClassifier(
        backbone, len(label_names), multi_label=model.multi_label, preprocessor=preprocessor
    )


def epoch_metrics(
    predictions: Mapping[str, np.ndarray], labels: np.ndarray, sample_weight: np.ndarray
) -> dict[str, float]:
    """Returns, by head, the exact figures over a whole split that are no means over its batches.

    Args:
        predictions: dict of head to logits `(B, K)`.
        labels: floats `(B, K)` in {0, 1}.
        sample_weight: floats `(B,)`; padding has 0.
    """
    figures = {}
    for head, logits in predictions.items():
        auc = metrics.mean_roc_auc(labels, logits, sample_weight)
        figures[f"{head}_mean_average_precision"] = metrics.mean_average_precision(
            labels, logits, sample_weight
        )
        figures[f"{head}_roc_auc"] = auc
        figures[f"{head}_d_prime"] = metrics.d_prime(auc)
    return figures
