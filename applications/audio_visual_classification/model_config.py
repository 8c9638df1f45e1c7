"""The backbone and its sizes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from zorro_keras.applications.training.config import check, check_least, check_within

# By backbone: its sizes by name, and the settings that no other takes.
BACKBONES = {
    "zorro_vit": (
        ("tiny", "small", "base", "large"),
        ("num_fusion_tokens", "stochastic_depth_rate", "routing"),
    ),
    "perceiver_io": (
        ("audioset", "audioset_large"),
        ("num_latents", "num_cross_heads", "query_dim", "audio_bands", "video_bands", "key_chunk"),
    ),
}


@dataclass(frozen=True)
class ModelConfig:
    """The backbone. The shape of the video comes from `DataConfig.geometry`.

    Args:
        variant: str. A size of the backbone: "tiny", "small", "base" or "large" of a Zorro-ViT, "audioset" or
            "audioset_large" of a Perceiver IO.
        spectrogram_frames: optional int. Time steps of the log-mel spectrogram.
        spectrogram_bins: optional int. Mel bins. Both are needed unless the sound stays a waveform.
        spectrogram_patch: two ints, frames and bins per token.
        video_patch: three ints, frames, rows and columns per token.
        spectrogram_mean, spectrogram_std: floats. The log-mel minus the first, over the second.
        num_fusion_tokens: int >= 1. Zorro's.
        num_layers, num_heads, hidden_dim, mlp_dim: optional ints. None is the variant's own. A Perceiver's
            are those of its latents.
        stochastic_depth_rate: float in [0, 1). Zorro's. Rate of the last block; it grows linearly from 0.
        dropout_rate: float in [0, 1).
        routing: "zorro", "early", "late" or "bottleneck". Zorro's.
        remat: bool. Recomputes each block in the backward pass: less memory, more time.
        multi_label: bool. Sigmoid with any number of labels per clip, or softmax with exactly one.
        backbone: "zorro_vit" or "perceiver_io".
        spectrogram_specification: str. How mel bins are made, see `LogMelSpectrogram.from_specification`; the
            sample rate, the bins and the hop are those given here.
        waveform_patch: optional int. Samples per token of a waveform that is read as it is; None for the
            spectrogram.
        num_latents, num_cross_heads, query_dim, audio_bands, video_bands: optional ints, a Perceiver's: its
            latents, heads of the cross-attention that reads the clip, channels of the class query, bands of
            the Fourier positions. None is the variant's own.
        key_chunk: optional int, a Perceiver's. Elements of the clip that are read at a time; None for all.
        pretrained: optional str. What training starts from: the preset folder of a model with this backbone
            and these sizes, or for a Zorro-ViT a vision transformer, see `zorro_keras.weights.load_vit`.

    Raises:
        ConfigError: if a patch does not divide what it cuts, a value is out of range, or the backbone has no
            such variant or setting.
    """

    variant: str
    spectrogram_frames: int | None = None
    spectrogram_bins: int | None = None
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
    backbone: Literal["zorro_vit", "perceiver_io"] = "zorro_vit"
    spectrogram_specification: Literal["16khz_128", "48khz_80"] = "16khz_128"
    waveform_patch: int | None = None
    num_latents: int | None = None
    num_cross_heads: int | None = None
    query_dim: int | None = None
    audio_bands: int | None = None
    video_bands: int | None = None
    key_chunk: int | None = None
    pretrained: str | None = None

    def __post_init__(self) -> None:
        check_least(self, 1, *_SIZES, "num_fusion_tokens")
        check_within(self, "[0, 1)", "stochastic_depth_rate", "dropout_rate")
        if self.waveform_patch is None:
            shape = (self.spectrogram_frames or 0, self.spectrogram_bins or 0)
            check(
                "spectrogram_frames", min(shape) > 0, "given with spectrogram_bins, or waveform_patch", shape
            )
            check_divides("spectrogram_patch", self.spectrogram_patch, shape)
        self._check_backbone()

    def _check_backbone(self) -> None:
        variants, own = BACKBONES[self.backbone]
        check("variant", self.variant in variants, f"one of {variants} of {self.backbone}", self.variant)
        defaults = {field.name: field.default for field in fields(self)}
        for owner, (_, settings) in BACKBONES.items():
            for name in sorted({*settings} - {*own}):
                value, default = getattr(self, name), defaults[name]
                check(name, value == default, f"left at {default!r}: it is a setting of {owner}", value)

    def given(self, *names: str) -> dict[str, int]:
        """The sizes among `names` that differ from the variant's."""
        return {name: value for name in names if (value := getattr(self, name)) is not None}


_SIZES = (
    *("spectrogram_frames", "spectrogram_bins", "waveform_patch"),
    *("num_layers", "num_heads", "hidden_dim", "mlp_dim"),
    *("num_latents", "num_cross_heads", "query_dim", "audio_bands", "video_bands", "key_chunk"),
)


def check_divides(name: str, patch: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Refuses a patch that does not divide the shape it cuts.

    Raises:
        ConfigError: naming the patch and the shape.
    """
    fits = len(patch) == len(shape)
    fits = fits and all(
        size >= 1 and cut >= 1 and size % cut == 0 for cut, size in zip(patch, shape, strict=True)
    )
    check(name, fits, f"{len(shape)} positive sizes that divide {shape}", patch)
