"""Configurations of audio-visual classification by name; those of public data sets are in `recipes`."""

from __future__ import annotations

from dataclasses import replace

from zorro_keras.applications.audio_visual_classification.recipes import (
    audioset,
    esc50_audio_only,
    kinetics400_video_only,
    vggsound,
)
from zorro_keras.applications.audio_visual_classification.run_config import Config, ModelConfig
from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.training import generated_clips_config
from zorro_keras.applications.training.clip_data_config import AugmentationConfig, DataConfig
from zorro_keras.applications.training.config import TrainingConfig

__all__ = ["CONFIGS", "AugmentationConfig", "Config", "DataConfig", "ModelConfig"]


# Learns the generated clips on two CPU cores in about four minutes.
#   zorro-keras train audio_visual_classification --config tiny --data DATA --out RUN
# 960 clips, 10 epochs = 300 steps of 32.
TINY = Config(
    data=generated_clips_config.DATA,
    model=ModelConfig(**generated_clips_config.ZORRO_VIT),
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

# The shapes and the recipe of `base` on Zorro's other backbones: Swin-S trunks with their published patches,
# 148 M parameters, and HiP-16 over the tokens of `base`, 97.7 M. The paper does not give their sizes.
#   zorro-keras train audio_visual_classification --config swin_small --data DATA --out RUN
#   zorro-keras train audio_visual_classification --config hip_16 --data DATA --out RUN
# Expected cost with remat, four forward passes of 61 and 64 GMAC a clip and step: 0.5 TFLOP, a third of
# `base`. Computed, not run.
SWIN_SMALL = replace(
    BASE,
    model=ModelConfig(
        backbone="zorro_swin",
        variant="small",
        spectrogram_frames=640,
        spectrogram_bins=128,
        spectrogram_patch=(4, 4),
        video_patch=(2, 4, 4),
        stochastic_depth_rate=0.2,
        remat=True,
    ),
)
HIP_16 = replace(
    BASE,
    model=ModelConfig(
        backbone="zorro_hip",
        variant="16",
        spectrogram_frames=640,
        spectrogram_bins=128,
        stochastic_depth_rate=0.1,
        remat=True,
    ),
)

# The generated clips, by a Zorro-Swin and by a Zorro-HiP, on two CPU cores.
#   zorro-keras train audio_visual_classification --config swin_tiny --data DATA --out RUN
#   zorro-keras train audio_visual_classification --config hip_tiny --data DATA --out RUN
# Clips and recipe are those of `tiny`.
# Measured (320 held-out clips): sound alone, pictures alone, both; 78.1, 78.1 and 94.5 % are possible.
#   swin_tiny  JAX seed 0 77.8, 75.3, 92.8; seed 1 77.8, 77.8, 92.2; TensorFlow 77.5, 77.2, 93.8: 250 s of CPU
#   hip_tiny   JAX seed 0 77.5, 77.2, 91.9; seed 1 77.2, 72.5, 91.9; TensorFlow 78.1, 73.8, 92.5: 255 s of CPU
SWIN_TINY = replace(TINY, model=ModelConfig(**generated_clips_config.ZORRO_SWIN))
HIP_TINY = replace(TINY, model=ModelConfig(**generated_clips_config.ZORRO_HIP))

# The generated clips, by a Perceiver IO, on two CPU cores.
#   zorro-keras train audio_visual_classification --config perceiver_tiny --data DATA --out RUN
# Source: ours. The clips and their changes are those of `tiny`. 64 elements of sound (4 frames of 64 bins
# each) and 128 of video, 487 channels wide, as published. Each stream is taken away in a fifth of the clips:
# one question is asked of all there is, so only that teaches what to answer to a lone stream.
# Measured on JAX (320 held-out clips, one seed): sound alone 77.8, pictures alone 71.9, both 92.2 % right;
# 78.1, 78.1 and 94.5 are possible. 609 seconds of CPU, in half an hour of a busy machine.
PERCEIVER_TINY = Config(
    data=replace(TINY.data, augmentation=replace(TINY.data.augmentation, modality_dropout_rate=0.3)),
    model=ModelConfig(
        backbone="perceiver_io",
        variant="audioset",
        spectrogram_frames=256,
        spectrogram_bins=64,
        spectrogram_patch=(4, 64),
        video_patch=(2, 8, 8),
        num_latents=64,
        hidden_dim=128,
        num_layers=4,
        num_heads=4,
        query_dim=128,
        audio_bands=16,
    ),
    training=TrainingConfig(epochs=10, batch_size=32, learning_rate=1e-3, warmup_fraction=0.1),
)

# AudioSet by Perceiver IO (arXiv 2107.14795, appendix on AudioSet; what it leaves open is Perceiver's, arXiv
# 2103.03206): 1.28 s of 48 kHz sound and 32 frames at 25 per second, 100 epochs, 16 test clips averaged;
# crop, flip and colour on the video, which is taken away in 30 % of the clips, the spectrogram in 10 %,
# without SpecAugment. Published mAP: raw 43.3, mel with the larger latents 44.9. Optimiser, batch, learning
# rate and mel settings are not public: these are ours, see `perceiver_io_variants.audioset`.
#   zorro-keras train audio_visual_classification --config audioset_perceiver_raw --data DATA --out RUN
# Expected cost: 0.21 TFLOP per clip and step (with remat, four times the published 52.9 GFLOP), so 1.7
# million clips x 100 epochs are 3.6e19 FLOP: four days on one accelerator at 100 TFLOP/s. The mel model's
# 129.5 GFLOP make it ten. Computed, not run.
_PERCEIVER_AUGMENTATION = AugmentationConfig(grey_rate=0.0, num_frequency_masks=0, num_time_masks=0)
AUDIOSET_PERCEIVER_RAW = Config(
    data=DataConfig(
        geometry=ClipGeometry(seconds=1.28, sample_rate_hz=48000, num_frames=32, height_px=224, width_px=224),
        augmentation=replace(_PERCEIVER_AUGMENTATION, modality_dropout_rate=(0.0, 0.3)),
        test_clips=16,
        num_workers=16,
    ),
    model=ModelConfig(
        backbone="perceiver_io",
        variant="audioset",
        waveform_patch=128,
        video_patch=(2, 8, 8),
        remat=True,
        multi_label=True,
    ),
    training=TrainingConfig(
        epochs=100, batch_size=256, learning_rate=3e-4, warmup_fraction=0.02, mixed_precision=True
    ),
)
AUDIOSET_PERCEIVER_MEL = replace(
    AUDIOSET_PERCEIVER_RAW,
    data=replace(
        AUDIOSET_PERCEIVER_RAW.data,
        augmentation=replace(_PERCEIVER_AUGMENTATION, modality_dropout_rate=(0.1, 0.3)),
    ),
    model=replace(
        AUDIOSET_PERCEIVER_RAW.model,
        variant="audioset_large",
        waveform_patch=None,
        spectrogram_specification="48khz_80",
        spectrogram_frames=60,
        spectrogram_bins=80,
        spectrogram_patch=(1, 1),
    ),
)

CONFIGS = {
    "tiny": TINY,
    "base": BASE,
    "swin_small": SWIN_SMALL,
    "hip_16": HIP_16,
    "audioset": audioset(),
    "vggsound": vggsound(),
    "kinetics400_video_only": kinetics400_video_only(),
    "esc50_audio_only": esc50_audio_only(),
    "swin_tiny": SWIN_TINY,
    "hip_tiny": HIP_TINY,
    "perceiver_tiny": PERCEIVER_TINY,
    "audioset_perceiver_raw": AUDIOSET_PERCEIVER_RAW,
    "audioset_perceiver_mel": AUDIOSET_PERCEIVER_MEL,
}
