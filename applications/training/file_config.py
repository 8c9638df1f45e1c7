"""What every task on single files, pictures or pairs of them, says about reading them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zorro_keras.applications.pipelines.accounted_reading import Reading
from zorro_keras.applications.pipelines.image_decode import MAX_PIXELS
from zorro_keras.applications.training.config import check_least, check_within


@dataclass(frozen=True)
class FileReadingConfig:
    """How files are read, and what happens to those that cannot be.

    Args:
        on_error: "raise" stops at the first example that cannot be used, "skip" leaves it out.
        max_bad_fraction: float in [0, 1]. A larger share of bad examples in one pass stops the run.
        max_pixels: int >= 4. Larger pictures are refused before they are decoded.
        num_workers: int >= 1. Threads that read and decode.

    Raises:
        ConfigError: if a value is out of range.
    """

    on_error: Literal["raise", "skip"] = "raise"
    max_bad_fraction: float = 0.01
    max_pixels: int = MAX_PIXELS
    num_workers: int = 2

    def __post_init__(self) -> None:
        check_least(self, 4, "max_pixels")
        check_least(self, 1, "num_workers")
        check_within(self, "[0, 1]", "max_bad_fraction")

    def reading(self, root: str, faults_path: str | Path | None = None) -> Reading:
        """What the pipelines are told of it, for files under `root`."""
        return Reading(
            root=root,
            on_error=self.on_error,
            max_bad_fraction=self.max_bad_fraction,
            num_workers=self.num_workers,
            max_pixels=self.max_pixels,
            faults_path=faults_path,
        )
