"""Builds the model that a configuration describes, and measures what it has learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from zorro_keras.applications.audio_visual_pretraining.config import Config
from zorro_keras.applications.audio_visual_pretraining.pretrainer import AudioVisualPretrainer
from zorro_keras.applications.audio_visual_pretraining.scores import scores_of
from zorro_keras.applications.training.audio_visual_preprocessor import build_preprocessor
from zorro_keras.applications.training.clip_backbones import build_backbone
from zorro_keras.applications.training.start_clip_model import start_weights

__all__ = ["build_model", "epoch_metrics", "start_weights"]


def build_model(config: Config, label_names: Sequence[str] = ()) -> AudioVisualPretrainer:
    """Returns the untrained model of a configuration, its preprocessor attached. It has no classes."""
    model = config.model
    return AudioVisualPretrainer(
        build_backbone(config),
        build_preprocessor(config),
        model.pair_weights,
        model.projection_dim,
        model.temperature,
        model.learn_temperature,
        model.stop_stream_gradient,
    )


def epoch_metrics(
    predictions: Mapping[str, np.ndarray], y: Mapping[str, np.ndarray], sample_weight: np.ndarray
) -> dict[str, float]:
    """Returns how well the clips of a whole split find one another, and their kind: see `scores_of`.

    Args:
        predictions: dict of head to embeddings `(B, E)`.
        y: dict with `labels` `(B, K)` and `presence`, a dict of stream to bool `(B,)`.
        sample_weight: floats `(B,)`; padding has 0.
    """
    return scores_of(predictions, y["presence"], y["labels"], sample_weight > 0)
