"""What is read from a clip, and what training changes in it at random: for tasks on streams of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from zorro_keras.applications.training.clip_config import STREAMS, ClipReadingConfig
from zorro_keras.applications.training.config import check, check_least, check_within


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
        modality_dropout_rate: float in [0, 1), or two, of audio and video. How often a stream is taken
            away; the last one always stays.

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
    modality_dropout_rate: float | tuple[float, float] = 0.0

    def __post_init__(self) -> None:
        low, high = self.zoom
        check("zoom", 1.0 <= low <= high, "two numbers, 1 <= lowest <= highest", self.zoom)
        check_within(self, "[0, 1]", "flip_rate", "colour_rate", "grey_rate")
        check_least(
            self, 0, "num_frequency_masks", "frequency_mask_bins", "num_time_masks", "time_mask_frames"
        )
        check_within(self, "[0, 100)", "mixup_alpha")
        rates, given = self.dropout_rates.values(), self.modality_dropout_rate
        check("modality_dropout_rate", all(0.0 <= rate < 1.0 for rate in rates), "within [0, 1)", given)

    @property
    def dropout_rates(self) -> dict[str, float]:
        """How often each stream is taken away."""
        rates = self.modality_dropout_rate
        return dict(zip(STREAMS, rates if isinstance(rates, tuple) else (rates, rates), strict=True))


@dataclass(frozen=True)
class DataConfig(ClipReadingConfig):
    """What is read from each clip, and what happens to clips that cannot be read: `ClipReadingConfig`, and

    Args:
        streams: tuple of "audio", "video" or both. Others are neither decoded nor given to the model.
        augmentation: `AugmentationConfig`.
        test_clips: int >= 1. Evaluation windows per clip: 1 is the centre, more are spaced evenly.
        class_balance: bool. Training shows each clip as often as the sum of 1 / (clips of the class) over its
            labels says, so that rare classes are as frequent as common ones, as CAV-MAE does on AudioSet.
        test_fold: optional int. The fold of ESC-50 that is tested, where it is read directly.

    Raises:
        ConfigError: if a value is out of range.
    """

    streams: tuple[str, ...] = STREAMS
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    test_clips: int = 1
    class_balance: bool = False
    test_fold: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        known = (
            bool(self.streams) and len({*self.streams}) == len(self.streams) and {*self.streams} <= {*STREAMS}
        )
        check("streams", known, f"a choice of {STREAMS}", self.streams)
        check_least(self, 1, "test_clips")
