"""A whole run: the data, the model and its training."""

from __future__ import annotations

from dataclasses import dataclass

from zorro_keras.applications.training.clip_data_config import DataConfig
from zorro_keras.applications.training.clip_model_config import ClipModelConfig, check_clip_fits
from zorro_keras.applications.training.config import TrainingConfig, check


@dataclass(frozen=True)
class ModelConfig(ClipModelConfig):
    """The backbone and the heads: `ClipModelConfig`, and

    Args:
        multi_label: bool. Sigmoid with any number of labels per clip, or softmax with exactly one.
        freeze_backbone: bool. Trains the heads alone: a linear probe of `pretrained`.

    Raises:
        ConfigError: as `ClipModelConfig` does; or if a backbone is frozen that was never trained.
    """

    multi_label: bool = False
    freeze_backbone: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        trained = self.pretrained is not None or not self.freeze_backbone
        check("freeze_backbone", trained, "false unless `pretrained` is given", self.freeze_backbone)


@dataclass(frozen=True)
class Config:
    """A whole run of audio-visual classification.

    Raises:
        ConfigError: if a patch does not divide the video or the waveform, or the spectrogram does not fit the
            sound.
    """

    data: DataConfig
    model: ModelConfig
    training: TrainingConfig

    def __post_init__(self) -> None:
        check_clip_fits(self.model, self.data.geometry)
