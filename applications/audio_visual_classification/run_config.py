"""A whole run: the data, the model and its training."""

from __future__ import annotations

from dataclasses import dataclass

from zorro_keras.applications.audio_visual_classification.data_config import DataConfig
from zorro_keras.applications.audio_visual_classification.model_config import ModelConfig, check_divides
from zorro_keras.applications.training.config import TrainingConfig, check


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
        clip = self.data.geometry
        check_divides("video_patch", self.model.video_patch, (clip.num_frames, clip.height_px, clip.width_px))
        if self.model.waveform_patch is not None:
            check_divides("waveform_patch", (self.model.waveform_patch,), (clip.num_samples,))
            return
        frames = self.model.spectrogram_frames
        check("spectrogram_frames", frames <= clip.num_samples, "at most the samples of the window", frames)
