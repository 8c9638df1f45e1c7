"""The backbone of a model of clips, and its sizes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.training.config import check, check_least, check_within

# By backbone: its sizes by name, and those of its settings that some other does not take.
BACKBONES = {
    "zorro_vit": (
        ("tiny", "small", "base", "large"),
        ("routing", "num_fusion_tokens", "mlp_dim", "stochastic_depth_rate", "dropout_rate"),
    ),
    "zorro_swin": (
        ("tiny", "small", "base", "large"),
        ("routing", "num_fusion_tokens", "stochastic_depth_rate")
        + ("fusion_every", "spectrogram_window", "video_window"),
    ),
    "zorro_hip": (
        ("mini", "16", "256", "16x3"),
        ("routing", "num_groups", "num_latents", "embed_dim", "stochastic_depth_rate", "dropout_rate"),
    ),
    "perceiver_io": (
        ("audioset", "audioset_large"),
        ("num_latents", "mlp_dim", "num_cross_heads", "query_dim", "dropout_rate")
        + ("audio_bands", "video_bands", "key_chunk"),
    ),
}
# The sizes that differ by stage or level, by backbone: sequences. All others are one number.
SEQUENCES = {
    "zorro_swin": ("num_layers", "num_heads"),
    "zorro_hip": ("num_groups", "num_layers", "num_latents", "hidden_dim", "num_heads"),
}
Sizes = int | tuple[int, ...] | None


@dataclass(frozen=True)
class ClipModelConfig:
    """The backbone. The shape of the video comes from `DataConfig.geometry`.

    Args:
        variant: str. A size of the backbone: "tiny", "small", "base" or "large" of a Zorro-ViT or Zorro-Swin,
            "mini", "16", "256" or "16x3" of a Zorro-HiP, "audioset" or "audioset_large" of a Perceiver IO.
        spectrogram_frames: optional int. Time steps of the log-mel spectrogram. They are a whole number of
            samples apart, so what such steps leave at the end of the window, fewer samples than there are
            steps, is not heard.
        spectrogram_bins: optional int. Mel bins. Both are needed unless the sound stays a waveform.
        spectrogram_patch: two ints, frames and bins per token.
        video_patch: three ints, frames, rows and columns per token.
        spectrogram_mean, spectrogram_std: floats. The log-mel minus the first, over the second.
        num_fusion_tokens: int >= 1. Zorro-ViT's and Zorro-Swin's.
        num_layers, num_heads, hidden_dim, mlp_dim: optional ints. None is the variant's own. A Perceiver's
            are those of its latents. Zorro-Swin has one number of layers and of heads for each stage,
            Zorro-HiP one of layers, heads and channels for each level: sequences.
        stochastic_depth_rate: float in [0, 1). Zorro's. Rate of the last block of a Zorro-ViT or Zorro-Swin;
            it grows linearly from 0. Of every block of a Zorro-HiP.
        dropout_rate: float in [0, 1). None of Zorro-Swin's.
        routing: "zorro", "early", "late" or "bottleneck". Zorro's; a Zorro-Swin's streams read themselves
            alone, as in "zorro" and "late".
        remat: bool. Recomputes each block in the backward pass: less memory, more time.
        backbone: "zorro_vit", "zorro_swin", "zorro_hip" or "perceiver_io".
        spectrogram_specification: str. How mel bins are made, see `LogMelSpectrogram.from_specification`; the
            sample rate, the bins and the hop are those given here.
        waveform_patch: optional int. Samples per token of a waveform that is read as it is; None for the
            spectrogram.
        num_latents, num_cross_heads, query_dim, audio_bands, video_bands: optional ints, a Perceiver's: its
            latents, heads of the cross-attention that reads the clip, channels of the class query, bands of
            the Fourier positions. None is the variant's own.
            `num_latents` of Zorro-HiP are a sequence: those of each group of a level.
        key_chunk: optional int, a Perceiver's. Elements of the clip that are read at a time; None for all.
        fusion_every: "block" or "stage", Zorro-Swin's: when its fusion tokens read.
        spectrogram_window, video_window: optional two and three ints, Zorro-Swin's largest windows, in
            tokens; None for 10 x 8 and 8 x 7 x 7.
        num_groups: optional sequence of int, Zorro-HiP's: all groups of each level.
        embed_dim: optional int, Zorro-HiP's: channels of a token; None for 768.
        pretrained: optional str. What training starts from: the preset folder of a model with this backbone
            and these sizes, or for a Zorro-ViT a vision transformer, for a Zorro-Swin a Swin: see `load_vit`
            and `load_swin` of `zorro_keras.weights`.

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
    num_layers: Sizes = None
    num_heads: Sizes = None
    hidden_dim: Sizes = None
    mlp_dim: int | None = None
    stochastic_depth_rate: float = 0.0
    dropout_rate: float = 0.0
    routing: Literal["zorro", "early", "late", "bottleneck"] = "zorro"
    remat: bool = False
    backbone: Literal["zorro_vit", "zorro_swin", "zorro_hip", "perceiver_io"] = "zorro_vit"
    spectrogram_specification: Literal["16khz_128", "48khz_80"] = "16khz_128"
    waveform_patch: int | None = None
    num_latents: Sizes = None
    num_cross_heads: int | None = None
    query_dim: int | None = None
    audio_bands: int | None = None
    video_bands: int | None = None
    key_chunk: int | None = None
    pretrained: str | None = None
    fusion_every: Literal["block", "stage"] = "block"
    spectrogram_window: tuple[int, int] | None = None
    video_window: tuple[int, int, int] | None = None
    num_groups: Sizes = None
    embed_dim: int | None = None

    def __post_init__(self) -> None:
        check_least(self, 1, *_SIZES, "num_fusion_tokens", "spectrogram_window", "video_window")
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
        by_level = SEQUENCES.get(self.backbone, ())
        for name in SEQUENCES["zorro_hip"]:
            value, is_sequence = getattr(self, name), name in by_level
            kind = "a sequence, such as 2,2" if is_sequence else "one number"
            fits = value is None or isinstance(value, tuple) == is_sequence
            check(name, fits, f"{kind}, of {self.backbone}", value)
        if self.backbone == "zorro_swin":
            self._check_swin()

    def _check_swin(self) -> None:
        check("waveform_patch", self.waveform_patch is None, "None of zorro_swin", self.waveform_patch)
        check("routing", self.routing in ("zorro", "late"), '"zorro" or "late" of zorro_swin', self.routing)
        is_published = not self.given("num_layers", "num_heads", "hidden_dim")
        for name, patch in (("spectrogram_patch", (4, 4)), ("video_patch", (2, 4, 4))):
            value = getattr(self, name)
            asked = f"{patch} of a zorro_swin without sizes of its own (num_layers, num_heads, hidden_dim)"
            check(name, value == patch or not is_published, asked, value)

    def given(self, *names: str) -> dict[str, Any]:
        """The sizes among `names` that differ from the variant's."""
        return {name: value for name in names if (value := getattr(self, name)) is not None}


_SIZES = (
    *("spectrogram_frames", "spectrogram_bins", "waveform_patch"),
    *("num_layers", "num_heads", "hidden_dim", "mlp_dim"),
    *("num_latents", "num_cross_heads", "query_dim", "audio_bands", "video_bands", "key_chunk"),
    *("num_groups", "embed_dim"),
)


def check_clip_fits(model: ClipModelConfig, clip: ClipGeometry) -> None:
    """Refuses a model whose patches do not divide a clip, or whose spectrogram does not fit its sound.

    Raises:
        ConfigError: naming the setting.
    """
    check_divides("video_patch", model.video_patch, (clip.num_frames, clip.height_px, clip.width_px))
    if model.waveform_patch is not None:
        check_divides("waveform_patch", (model.waveform_patch,), (clip.num_samples,))
        return
    frames = model.spectrogram_frames
    check("spectrogram_frames", frames <= clip.num_samples, "at most the samples of the window", frames)


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
