"""Configurations of audio-visual pre-training: the data, the model and its training."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.training import generated_clips_config
from zorro_keras.applications.training.clip_data_config import AugmentationConfig, DataConfig
from zorro_keras.applications.training.clip_model_config import ClipModelConfig, check_clip_fits
from zorro_keras.applications.training.config import TrainingConfig, check, check_least

__all__ = ["CONFIGS", "AugmentationConfig", "Config", "DataConfig", "ModelConfig"]


@dataclass(frozen=True)
class ModelConfig(ClipModelConfig):
    """The backbone, and what of it is compared: `ClipModelConfig`, and

    Args:
        projection_dim: int >= 1. Channels of the embeddings.
        temperature: float > 0. What cosines are divided by.
        learn_temperature: bool. Trains the temperature, from that one on.
        audio_video_weight, fusion_audio_weight, fusion_video_weight: floats >= 0. Weight of each term of the
            loss; 0 leaves it out.
        stop_stream_gradient: bool. Whether fusion's terms send no gradient into the outputs of the streams.

    Raises:
        ConfigError: as `ClipModelConfig` does, or for a Perceiver, which does not keep its streams apart.
    """

    projection_dim: int = 512
    temperature: float = 0.07
    learn_temperature: bool = False
    audio_video_weight: float = 1.0
    fusion_audio_weight: float = 1.0
    fusion_video_weight: float = 1.0
    stop_stream_gradient: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check("backbone", self.backbone != "perceiver_io", "one that keeps its streams apart", self.backbone)
        check_least(self, 1, "projection_dim")
        check("temperature", 0 < self.temperature < math.inf, "positive", self.temperature)
        for name in ("audio_video_weight", "fusion_audio_weight", "fusion_video_weight"):
            check(name, 0 <= getattr(self, name) < math.inf, "at least 0", getattr(self, name))
        check("audio_video_weight", self.pair_weights, "positive, or another weight", self.audio_video_weight)

    @property
    def pair_weights(self) -> dict[str, float]:
        """The terms of the loss, as `AudioVisualPretrainer` takes them."""
        weights = {
            "audio,video": self.audio_video_weight,
            "fusion,audio": self.fusion_audio_weight,
            "fusion,video": self.fusion_video_weight,
        }
        return {pair: weight for pair, weight in weights.items() if weight}


@dataclass(frozen=True)
class Config:
    """A whole run of audio-visual pre-training.

    Raises:
        ConfigError: if a patch does not divide the video or the waveform, the spectrogram does not fit the
            sound, a stream is left out, clips are mixed (a mixture belongs to two), or balanced by labels.
    """

    data: DataConfig
    model: ModelConfig
    training: TrainingConfig

    def __post_init__(self) -> None:
        check_clip_fits(self.model, self.data.geometry)
        check("streams", len(self.data.streams) == 2, "audio,video", self.data.streams)
        mixup = self.data.augmentation.mixup_alpha
        check("mixup_alpha", mixup == 0.0, "0: a mixture belongs to two clips", mixup)
        windows = self.data.test_clips
        check("test_clips", windows == 1, "1: windows of one clip would find each other", windows)
        balance = self.data.class_balance
        check("class_balance", not balance, "false: labels are left alone", balance)


# Learns the generated clips on two CPU cores in minutes, by a Zorro-ViT, -Swin or -HiP.
#   zorro-keras train audio_visual_pretraining --config tiny --out RUN
# Clips, backbones and optimiser are those of audio_visual_classification. Batches are larger: every other
# clip of one is a wrong answer.
_COMPARED = {"projection_dim": 64, "temperature": 0.1}
TINY = Config(
    data=generated_clips_config.DATA,
    model=ModelConfig(**generated_clips_config.ZORRO_VIT, **_COMPARED),
    training=TrainingConfig(epochs=20, batch_size=64, learning_rate=1e-3, warmup_fraction=0.1),
)
SWIN_TINY = replace(TINY, model=ModelConfig(**generated_clips_config.ZORRO_SWIN, **_COMPARED))
HIP_TINY = replace(TINY, model=ModelConfig(**generated_clips_config.ZORRO_HIP, **_COMPARED))

# The shapes of Zorro's Figure 2 (arXiv 2301.09595), on clips of AudioSet or YouTube-8M without their labels.
# The paper's pre-training recipe is not public; this one is MMV's losses (arXiv 2006.16228: embeddings of
# 512, temperature 0.07) with AV-MAE's optimiser, our choice.
#   zorro-keras train audio_visual_pretraining --config base --data DATA --out RUN
# Expected cost: 1.7 TFLOP per clip and step (with remat): 1.86 million clips x 20 epochs are 6.3e19 FLOP, a
# day on eight accelerators at 100 TFLOP/s each. Computed, not run.
BASE = Config(
    data=DataConfig(
        geometry=ClipGeometry(seconds=6.4, sample_rate_hz=16000, num_frames=8, height_px=224, width_px=224),
        num_workers=16,
    ),
    model=ModelConfig(
        variant="base", spectrogram_frames=640, spectrogram_bins=128, stochastic_depth_rate=0.1, remat=True
    ),
    training=TrainingConfig(
        epochs=20,
        batch_size=1024,
        learning_rate=1e-3,
        warmup_fraction=0.05,
        weight_decay=0.05,
        mixed_precision=True,
    ),
)

CONFIGS = {"tiny": TINY, "swin_tiny": SWIN_TINY, "hip_tiny": HIP_TINY, "base": BASE}
