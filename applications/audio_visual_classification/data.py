"""Opens the data of a run: clips that carry labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zorro_keras.applications.audio_visual_classification.config import Config
from zorro_keras.applications.pipelines.clip_data import ClipData, open_clip_data
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.pipelines.packed_clips import pack_generated_clips
from zorro_keras.applications.training.clip_batches import evaluation_dataset, training_dataset

__all__ = ["default_data", "evaluation_dataset", "open_data", "training_dataset"]

# Of the clips that the task makes for itself: those of `zorro-keras demo`.
DEFAULT_COUNTS = {"count": 960, "test_count": 320}


def default_data(out: str | Path) -> Path:
    """Generates the clips that `tiny` and `perceiver_tiny` are made for, and packs them into shards."""
    return pack_generated_clips(out, **DEFAULT_COUNTS)


def open_data(path: str | Path, config: Config, *, label_names: Sequence[str] | None = None) -> ClipData:
    """Opens a folder of shards or a source, as `read_source` takes one, and checks all of it first.

    Args:
        path: str or path.
        config: `Config`.
        label_names: optional sequence of str. The classes a model was trained on, in its order.

    Returns:
        `ClipData` with `label_names`, `multi_label`, `num_train`, `num_test`, `fingerprint`.

    Raises:
        ShardError, SourceError: if the data cannot be trusted; every bad row is named.
        ConfigError: if clips carry several labels and the model is not to be a multi-label one, a fold is
            asked of shards, or the split to evaluate holds no clip.
    """
    data = open_clip_data(
        path,
        label_names=label_names,
        test_fold=config.data.test_fold,
        evaluation_split=config.data.evaluation_split,
    )
    if data.multi_label and not config.model.multi_label:
        raise ConfigError(
            "`model.multi_label` must be true: clips carry several labels. Received: model.multi_label=False",
            path=path,
            stage="config",
            reason="bad_value",
        )
    return data
