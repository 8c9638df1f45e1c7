"""What a step of training is given, told without data."""

from __future__ import annotations

from typing import Any

from zorro_keras.applications.audio_visual_classification.classifier import AudioVisualClassifier
from zorro_keras.applications.audio_visual_classification.config import Config
from zorro_keras.applications.training.batch_shapes import class_names, clips_of, floats

# The classes of the data that a configuration is made for: the generated clips, AudioSet, Kinetics, ESC-50,
# and VGGSound where nothing else is said.
CLASSES = {
    **dict.fromkeys(("tiny", "swin_tiny", "hip_tiny", "perceiver_tiny"), 8),
    **dict.fromkeys(("audioset", "audioset_perceiver_raw", "audioset_perceiver_mel"), 527),
    "kinetics400_video_only": 400,
    "esc50_audio_only": 50,
}
VGGSOUND_CLASSES = 309


def label_names(name: str, config: Config, num_classes: int | None = None) -> tuple[str, ...]:
    """Returns names for the classes: as many as asked, or as the data have that `name` is made for."""
    return class_names(num_classes or CLASSES.get(name, VGGSOUND_CLASSES))


def training_batch(config: Config, model: AudioVisualClassifier, batch_size: int) -> tuple[Any, ...]:
    """Returns the shapes of what `training_dataset` yields: `(x, y)`."""
    return clips_of(model, batch_size, config.data.streams), floats(batch_size, model.num_classes)
