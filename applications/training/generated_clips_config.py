"""What the tasks on sound and picture share where they learn the generated clips on two CPU cores.

Source: ours. The motions repeat about once a second: 8 frames in 2.56 s left the video at 69 %, 16 frames
took it to 77 % (one seed each). 64 audio tokens (256 x 64 bins in 16 x 16), 64 video tokens (16 x 32 x 32 px
in 4 x 8 x 8). No flip, so that it also serves classes that differ in direction; no mixup: too few clips to
need it.
"""

from __future__ import annotations

from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.training.clip_data_config import AugmentationConfig, DataConfig

DATA = DataConfig(
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
)
_SHARED = {"spectrogram_frames": 256, "spectrogram_bins": 64, "stochastic_depth_rate": 0.05}

ZORRO_VIT = {
    **_SHARED,
    "variant": "tiny",
    "video_patch": (4, 8, 8),
    "num_fusion_tokens": 8,
    "num_layers": 4,
    "num_heads": 4,
    "hidden_dim": 128,
    "mlp_dim": 256,
}
# Grids of 32 x 8 and 4 x 8 x 8 tokens, one merging.
ZORRO_SWIN = {
    **_SHARED,
    "backbone": "zorro_swin",
    "variant": "tiny",
    "spectrogram_patch": (8, 8),
    "video_patch": (4, 4, 4),
    "num_fusion_tokens": 8,
    "num_layers": (2, 2),
    "num_heads": (2, 4),
    "hidden_dim": 64,
    "spectrogram_window": (8, 8),
    "video_window": (4, 4, 4),
    "fusion_every": "stage",
}
# 64 + 64 tokens in two groups of each stream, then one set of 32 latents for each.
ZORRO_HIP = {
    **_SHARED,
    "backbone": "zorro_hip",
    "variant": "mini",
    "video_patch": (4, 8, 8),
    "num_groups": (8, 3),
    "num_layers": (2, 2),
    "num_latents": (32, 32),
    "hidden_dim": (128, 128),
    "num_heads": (4, 4),
    "embed_dim": 128,
}
