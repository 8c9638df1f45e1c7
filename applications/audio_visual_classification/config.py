"""Configurations of audio-visual classification: the data, the model and its training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.training.clip_config import STREAMS, ClipReadingConfig
from zorro_keras.applications.training.config import TrainingConfig, check


@dataclass(frozen=True)
class AugmentationConfig:
    """What training changes at random in a clip. Evaluation changes nothing.

    Args:
        zoom: two floats, 1 <= lowest <= highest. Scale jitter of the random crop; 1 keeps as much as fits.
        flip_rate: float in [0, 1]. Mirroring left to right. Keep it 0 where direction carries the label.
        colour_rate: float in [0, 1]. How often brightness, contrast and saturation change.
        grey_rate: float in [0, 1]. How often a clip loses its colour.
        num_frequency_masks: int >= 0. SpecAugment: bands hidden per spectrogram.
        frequency_mask_bins: int >= 0. The widest band.
        num_time_masks: int >= 0. SpecAugment: runs of frames hidden per spectrogram.
        time_mask_frames: int >= 0. The longest run.
        spec_augment_provider: "own", or "tensorflow-io": its masks cannot be resumed exactly.
        mixup_alpha: float >= 0. Beta(alpha, alpha) of the shares; 0 is off.
        modality_dropout_rate: float in [0, 1). How often a stream is taken away; the last one always stays.

    Raises:
        ConfigError: if a value is out of range.
    """

    zoom: tuple[float, float] = (1.0, 1.33)
    flip_rate: float = 0.5
    colour_rate: float = 0.8
    grey_rate: float = 0.1
    num_frequency_masks: int = 1
    frequency_mask_bins: int = 48
    num_time_masks: int = 4
    time_mask_frames: int = 48
    spec_augment_provider: Literal["own", "tensorflow-io"] = "own"
    mixup_alpha: float = 0.0
    modality_dropout_rate: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.zoom
        check("zoom", 1.0 <= low <= high, "two numbers, 1 <= lowest <= highest", self.zoom)
        for name in ("flip_rate", "colour_rate", "grey_rate"):
            check(name, 0.0 <= getattr(self, name) <= 1.0, "within [0, 1]", getattr(self, name))
        for name in ("num_frequency_masks", "frequency_mask_bins", "num_time_masks", "time_mask_frames"):
            check(name, getattr(self, name) >= 0, "at least 0", getattr(self, name))
        check("mixup_alpha", 0.0 <= self.mixup_alpha < 100.0, "within [0, 100)", self.mixup_alpha)
        rate = self.modality_dropout_rate
        check("modality_dropout_rate", 0.0 <= rate < 1.0, "within [0, 1)", rate)


@dataclass(frozen=True)
class DataConfig(ClipReadingConfig):
    """What is read from each clip, and what happens to clips that cannot be read: `ClipReadingConfig`, and

    Args:
        streams: tuple of "audio", "video" or both. Others are neither decoded nor given to the model.
        augmentation: `AugmentationConfig`.
        test_clips: int >= 1. Evaluation windows per clip: 1 is the centre, more are spaced evenly.

    Raises:
        ConfigError: if a value is out of range.
    """

    streams: tuple[str, ...] = STREAMS
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    test_clips: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        known = (
            bool(self.streams) and len({*self.streams}) == len(self.streams) and {*self.streams} <= {*STREAMS}
        )
        check("streams", known, f"a choice of {STREAMS}", self.streams)
        check("test_clips", self.test_clips >= 1, "at least 1", self.test_clips)


@dataclass(frozen=True)
class ModelConfig:
    """The Zorro-ViT and its heads. The shape of the video comes from `DataConfig.geometry`.

    Args:
        variant: str. A size of `ZorroViTBackbone`: "tiny", "small", "base" or "large".
        spectrogram_frames: int. Time steps of the log-mel spectrogram.
        spectrogram_bins: int. Mel bins.
        spectrogram_patch: two ints, frames and bins per token.
        video_patch: three ints, frames, rows and columns per token.
        spectrogram_mean, spectrogram_std: floats. The log-mel minus the first, over the second.
        num_fusion_tokens: int >= 1.
        num_layers, num_heads, hidden_dim, mlp_dim: optional ints. None is the variant's own.
        stochastic_depth_rate: float in [0, 1). Rate of the last block; it grows linearly from 0.
        dropout_rate: float in [0, 1).
        routing: "zorro", "early", "late" or "bottleneck".
        remat: bool. Recomputes each block in the backward pass: less memory, more time.
        multi_label: bool. Sigmoid with any number of labels per clip, or softmax with exactly one.

    Raises:
        ConfigError: if a patch does not divide what it cuts, or a value is out of range.
    """

    variant: str
    spectrogram_frames: int
    spectrogram_bins: int
    spectrogram_patch: tuple[int, int] = (16, 16)
    video_patch: tuple[int, int, int] = (1, 16, 16)
    spectrogram_mean: float = -6.0
    spectrogram_std: float = 4.0
    num_fusion_tokens: int = 16
    num_layers: int | None = None
    num_heads: int | None = None
    hidden_dim: int | None = None
    mlp_dim: int | None = None
    stochastic_depth_rate: float = 0.0
    dropout_rate: float = 0.0
    routing: Literal["zorro", "early", "late", "bottleneck"] = "zorro"
    remat: bool = False
    multi_label: bool = False

    def __post_init__(self) -> None:
        shape = (self.spectrogram_frames, self.spectrogram_bins)
        _check_divides("spectrogram_patch", self.spectrogram_patch, shape)
        check("num_fusion_tokens", self.num_fusion_tokens >= 1, "at least 1", self.num_fusion_tokens)
        for name in ("stochastic_depth_rate", "dropout_rate"):
            check(name, 0.0 <= getattr(self, name) < 1.0, "within [0, 1)", getattr(self, name))
        for name in ("num_layers", "num_heads", "hidden_dim", "mlp_dim"):
            value = getattr(self, name)
            check(name, value is None or value >= 1, "None or at least 1", value)


@dataclass(frozen=True)
class Config:
    """A whole run of audio-visual classification.

    Raises:
        ConfigError: if the video patch does not divide the video, or the spectrogram does not fit the sound.
    """

    data: DataConfig
    model: ModelConfig
    training: TrainingConfig

    def __post_init__(self) -> None:
        clip = self.data.geometry
        _check_divides(
            "video_patch", self.model.video_patch, (clip.num_frames, clip.height_px, clip.width_px)
        )
        frames = self.model.spectrogram_frames
        check("spectrogram_frames", frames <= clip.num_samples, "at most the samples of the window", frames)


def _check_divides(name: str, patch: tuple[int, ...], shape: tuple[int, ...]) -> None:
    fits = len(patch) == len(shape)
    fits = fits and all(
        size >= 1 and cut >= 1 and size % cut == 0 for cut, size in zip(patch, shape, strict=True)
    )
    check(name, fits, f"{len(shape)} positive sizes that divide {shape}", patch)


# Learns the generated clips on two CPU cores in about four minutes.
#   zorro-keras train audio_visual_classification --config tiny --data DATA --out RUN
# Source: ours, for the generated clips (960 clips, 10 epochs = 300 steps of 32). Their motions repeat about
# once a second: 8 frames in 2.56 s left the video at 69 %, 16 frames took it to 77 % (one seed each).
# 64 audio tokens (256 x 64 bins in 16 x 16), 64 video tokens (16 x 32 x 32 px in 4 x 8 x 8).
# No flip, so that it also serves classes that differ in direction; no mixup: too few clips to need it.
TINY = Config(
    data=DataConfig(
        geometry=ClipGeometry(seconds=2.56, sample_rate_hz=16000, num_frames=16, height_px=32, width_px=32),
        augmentation=AugmentationConfig(
            zoom=(1.0, 1.1),
            flip_rate=0.0,
            colour_rate=0.5,
            grey_rate=0.0,
            num_frequency_masks=1,
            frequency_mask_bins=4,
            num_time_masks=1,
            time_mask_frames=16,
        ),
    ),
    model=ModelConfig(
        variant="tiny",
        spectrogram_frames=256,
        spectrogram_bins=64,
        video_patch=(4, 8, 8),
        num_fusion_tokens=8,
        num_layers=4,
        num_heads=4,
        hidden_dim=128,
        mlp_dim=256,
        stochastic_depth_rate=0.05,
    ),
    training=TrainingConfig(
        epochs=10, batch_size=32, learning_rate=1e-3, warmup_fraction=0.1, ema_momentum=None
    ),
)

# The shapes of Zorro's Figure 2 (arXiv 2301.09595): 640 x 128 log-mel and 8 x 224 x 224 px, 320 + 1568
# tokens, 91.3 M parameters. The paper's recipe is not public: this one is AV-MAE's optimiser with MBT's
# augmentation, our choice. Softmax over one label, as on VGGSound.
#   zorro-keras train audio_visual_classification --config base --data DATA --out RUN
# Expected cost: 1.7 TFLOP per clip and step (with remat), so VGGSound's 172,427 clips x 30 epochs are 9e18
# FLOP: three hours on eight accelerators at 100 TFLOP/s each, if the shards keep up. Computed, not run.
BASE = Config(
    data=DataConfig(
        geometry=ClipGeometry(seconds=6.4, sample_rate_hz=16000, num_frames=8, height_px=224, width_px=224),
        augmentation=AugmentationConfig(mixup_alpha=0.5),
        test_clips=4,
        num_workers=8,
    ),
    model=ModelConfig(
        variant="base", spectrogram_frames=640, spectrogram_bins=128, stochastic_depth_rate=0.1, remat=True
    ),
    training=TrainingConfig(
        epochs=30,
        batch_size=256,
        learning_rate=3e-4,
        warmup_fraction=0.05,
        weight_decay=0.05,
        mixed_precision=True,
    ),
)

# AudioSet with the settings of MBT (arXiv 2107.00135, code in scenic): 8 s of sound, 32 frames, batch 64, 50
# epochs, mixup 0.5 with one share for both streams, label smoothing 0.3, stochastic depth 0.3, SpecAugment 1
# x 48 and 4 x 48, four test clips averaged. What we changed: AdamW in place of SGD with momentum (learning
# rate 0.5 does not carry over); the frames are spread over the 8 s of sound, so that both streams stay
# aligned, in place of stride 2; scale jitter only enlarges (1 to 1.33), so no padding is made up.
#   zorro-keras train audio_visual_classification --config audioset --data DATA --out RUN
# Expected cost: 3.9 TFLOP per clip and step (with remat), so the balanced 20,361 clips x 50 epochs are 4e18
# FLOP: eleven hours on one accelerator at 100 TFLOP/s. Computed, not run.
AUDIOSET = Config(
    data=DataConfig(
        geometry=ClipGeometry(seconds=8.0, sample_rate_hz=16000, num_frames=32, height_px=224, width_px=224),
        augmentation=AugmentationConfig(mixup_alpha=0.5),
        test_clips=4,
        num_workers=8,
    ),
    model=ModelConfig(
        variant="base",
        spectrogram_frames=800,
        spectrogram_bins=128,
        video_patch=(2, 16, 16),
        stochastic_depth_rate=0.3,
        remat=True,
        multi_label=True,
    ),
    training=TrainingConfig(
        epochs=50,
        batch_size=64,
        learning_rate=1e-4,
        warmup_fraction=0.05,
        label_smoothing=0.3,
        mixed_precision=True,
    ),
)

CONFIGS = {"tiny": TINY, "base": BASE, "audioset": AUDIOSET}
