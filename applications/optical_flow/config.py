"""Configurations of optical flow: the data, the model and its training."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from zorro_keras.applications.pipelines.flow_ranges import FlowRanges
from zorro_keras.applications.training.config import TrainingConfig, check, check_least, check_within
from zorro_keras.applications.training.file_config import FileReadingConfig

if TYPE_CHECKING:
    from zorro_keras.applications.optical_flow.preprocessor import FlowPreprocessor


@dataclass(frozen=True)
class AugmentationConfig(FlowRanges):
    """What training changes at random in a pair, and when. Evaluation changes nothing.

    The first steps change nothing, and show each pair forward and reversed; then changes grow from nothing to
    their full ranges. Without that beginning the published model did not learn.

    Args:
        plain_fraction: float in [0, 1]. Share of all steps of that beginning; it needs an even batch.
        ramp_fraction: float in [0, 1]. Share of all steps over which changes grow after it.
        **kwargs: as for `FlowRanges`.

    Raises:
        ConfigError: if a value is out of range.
    """

    plain_fraction: float = 0.1
    ramp_fraction: float = 0.4

    def __post_init__(self) -> None:
        check_within(self, "[0, 1]", *_RATES)
        check_within(self, "[0, 1)", "brightness", "contrast", "saturation")
        check_within(self, "[0, 2]", "stretch")
        check_within(self, "[0, 0.5]", "hue")
        low, high = self.scale
        check("scale", -4.0 <= low <= high <= 4.0, "two numbers, -4 <= lowest <= highest <= 4", self.scale)
        low, high = self.erase_sides
        sides = "two numbers, 0 < smallest <= largest <= 1"
        check("erase_sides", 0.0 < low <= high <= 1.0, sides, self.erase_sides)


_RATES = (
    "stretch_rate", "mirror_x_rate", "mirror_y_rate", "asymmetric_rate", "erase_rate", "plain_fraction",
    "ramp_fraction",
)  # fmt: skip


@dataclass(frozen=True)
class DataConfig(FileReadingConfig):
    """What is made of each pair, and how its files are read.

    Args:
        size_px: two ints >= 4. Rows and columns that the model reads: the crop of training, and the tile of
            inference.
        flow_scale: float > 0. Pixels to one unit of what the model answers: 20, as published.
        augmentation: `AugmentationConfig`.
        test_fraction: float in [0, 1]. Share of the scenes held out where the source names no splits.
        **kwargs: as for `FileReadingConfig`.

    Raises:
        ConfigError: if a value is out of range.
    """

    size_px: tuple[int, int] = (368, 496)
    flow_scale: float = 20.0
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    test_fraction: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check("size_px", min(self.size_px) >= 4, "two numbers, at least 4", self.size_px)
        check("flow_scale", 0.0 < self.flow_scale < 1e6, "positive", self.flow_scale)
        check_within(self, "[0, 1]", "test_fraction")


@dataclass(frozen=True)
class ModelConfig:
    """The Perceiver IO. Its input size comes from `DataConfig.size_px`.

    Args:
        variant: a row of the paper's table: "optical_flow" (3 x 3 pixels of both frames joined, the released
            model), "..._separate", "optical_flow_1x1", "..._1x1_separate", "optical_flow_light",
            "optical_flow_conv", "..._conv_separate" or "..._conv_light".
        semantics: "deepmind" or "hugging_face": whose numbers where the published implementations differ.
        embed_dim, num_bands, num_latents, latent_dim, num_layers, num_heads, num_cross_heads: optional ints.
            None is the variant's.
        query_residual: optional bool. Whether the decoder adds the query to what it read. None is the
            variant's.
        loss: "end_point" (the Euclidean length of the error, what is measured), "l1" (RAFT's) or "robust"
            ((|error| + 0.01) ** 0.4, PWC-Net's fine-tuning). The paper names none.
        dropout_rate: float in [0, 1).
        key_chunk, query_chunk: optional ints. Elements read, and pixels answered, at a time; None for all.
        remat: bool. Recomputes each layer in the backward pass: less memory, more time.
        pretrained: optional str. Preset folder, or published weights, of these sizes, which training starts
            from.

    Raises:
        ConfigError: if a value is out of range.
    """

    variant: Literal[
        "optical_flow",
        "optical_flow_separate",
        "optical_flow_1x1",
        "optical_flow_1x1_separate",
        "optical_flow_light",
        "optical_flow_conv",
        "optical_flow_conv_separate",
        "optical_flow_conv_light",
    ]
    semantics: Literal["deepmind", "hugging_face"] = "deepmind"
    embed_dim: int | None = None
    num_bands: int | None = None
    num_latents: int | None = None
    latent_dim: int | None = None
    num_layers: int | None = None
    num_heads: int | None = None
    num_cross_heads: int | None = None
    query_residual: bool | None = None
    loss: Literal["end_point", "l1", "robust"] = "end_point"
    dropout_rate: float = 0.0
    key_chunk: int | None = None
    query_chunk: int | None = None
    remat: bool = False
    pretrained: str | None = None

    def __post_init__(self) -> None:
        check_least(self, 1, *_SIZES, "key_chunk", "query_chunk")
        check_within(self, "[0, 1)", "dropout_rate")

    def sizes(self) -> dict[str, int | bool]:
        """The settings that differ from the variant's."""
        names = (*_SIZES, "query_residual")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


_SIZES = (
    "embed_dim", "num_bands", "num_latents", "latent_dim", "num_layers", "num_heads", "num_cross_heads"
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """A whole run of optical flow.

    Raises:
        ConfigError: if the batch cannot show pairs forward and reversed.
    """

    data: DataConfig
    model: ModelConfig
    training: TrainingConfig

    def __post_init__(self) -> None:
        size, plain = self.training.batch_size, self.data.augmentation.plain_fraction
        even = "even while `data.augmentation.plain_fraction` is above 0: each pair is shown twice"
        check("training.batch_size", plain == 0.0 or size % 2 == 0, even, size)


# Learns the generated pairs on two CPU cores in minutes.
#   zorro-keras train optical_flow --config tiny --out RUN
# Measured once on JAX, on the 200 pairs held out: end-point error 0.80 px, where no flow at all is 2.29 px
# (35 %), in 812 s of processor time; on two faster cores, shared, 0.82 px (36 %) in 266 s with validation.
TINY = Config(
    data=DataConfig(
        size_px=(48, 64),
        augmentation=AugmentationConfig(
            scale=(0.0, 0.2),
            stretch=0.1,
            mirror_y_rate=0.5,
            brightness=0.1,
            contrast=0.1,
            saturation=0.1,
            hue=0.05,
            asymmetric_rate=0.0,
            erase_rate=0.0,
            plain_fraction=0.2,
            ramp_fraction=0.2,
        ),
    ),
    model=ModelConfig(
        variant="optical_flow_conv",
        embed_dim=96,
        num_bands=8,
        num_latents=64,
        latent_dim=128,
        num_layers=2,
        num_heads=4,
        query_residual=True,
    ),
    training=TrainingConfig(
        epochs=14, batch_size=16, learning_rate=2e-3, warmup_fraction=0.05, weight_decay=0.01
    ),
)

# Recipe of arXiv 2107.14795, section 4.2 and its appendix on optical flow: AutoFlow's 400,000 pairs, crops of
# 368 x 496, 480 epochs, batch 512, LAMB at 4e-4 with a cosine to 0, the curriculum of AutoFlow (arXiv
# 2104.14544) and before it a phase without augmentation in which each pair is fed forward and reversed.
# Not stated there, and chosen here: the loss, the lengths of the phases, weight decay and clipping (those of
# the same paper's ImageNet recipe), and the ranges of augmentation (RAFT's).
#   zorro-keras train optical_flow --config paper --data AUTOFLOW --out RUN
# Expected cost: three times the forward pass of about 1.9 TFLOP per crop and step, so 480 epochs of 400,000
# pairs are 1.1e21 FLOP: 127 days on one accelerator at 100 TFLOP/s. Computed, not run.
# Published end-point error on Sintel clean, Sintel final and KITTI 2015 beside each.
_AUTOFLOW = DataConfig(test_fraction=0.005, num_workers=16)
_TRAINING = TrainingConfig(
    epochs=480,
    batch_size=512,
    optimizer="lamb",
    learning_rate=4e-4,
    warmup_fraction=0.0,
    weight_decay=0.1,
    clip_norm=10.0,
    mixed_precision=True,
)


def _paper(variant: str) -> Config:
    return Config(_AUTOFLOW, ModelConfig(variant, remat=True), _TRAINING)


CONFIGS = {
    "tiny": TINY,
    "paper": _paper("optical_flow"),  # 1.81, 2.42, 4.98: the released model
    "paper_separate": _paper("optical_flow_separate"),  # 1.78, 2.70, 6.19
    "paper_1x1": _paper("optical_flow_1x1"),  # 1.91, 2.56, 5.39
    "paper_1x1_separate": _paper("optical_flow_1x1_separate"),  # 1.72, 2.63, 5.93
    "paper_conv": _paper("optical_flow_conv"),  # 1.84, 2.52, 4.83
    "paper_conv_separate": _paper("optical_flow_conv_separate"),  # 1.90, 2.53, 6.66
    "paper_conv_light": _paper("optical_flow_conv_light"),  # 2.06, 2.67, 6.12: 16 layers, 1024 latents
}


def config_of_preset(preprocessor: FlowPreprocessor) -> Config:
    """Returns a configuration to read pairs for a preset. Its model and training are not the preset's.

    Pairs that cannot be read are left out, which a report says, up to a tenth of them.

    Args:
        preprocessor: of the preset.
    """
    settings = {name: getattr(preprocessor, name) for name in ("size_px", "flow_scale")}
    return replace(CONFIGS["paper"], data=DataConfig(on_error="skip", max_bad_fraction=0.1, **settings))
