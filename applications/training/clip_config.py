"""What every task on clips says about reading them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.pipelines.media_reading import MediaReading
from zorro_keras.applications.pipelines.workers import MAX_WORKER_BYTES
from zorro_keras.applications.training.config import check, check_least, check_within

STREAMS = ("audio", "video")


@dataclass(frozen=True)
class ClipReadingConfig:
    """The window of a clip, what happens to clips that cannot be read, and which clips are held out.

    Args:
        geometry: `ClipGeometry`. The time-aligned window of sound and picture.
        on_error: "raise", "skip" or "drop_modality". For media read directly; shards were checked when
            packed.
        max_bad_fraction: float in [0, 1]. A larger share of bad clips in one pass stops the run.
        num_workers: int >= 1. Processes that decode media read directly.
        deadline_seconds: float > 0. A clip that takes longer to decode counts as bad.
        max_worker_bytes: optional int >= 1. A clip that needs more memory to decode counts as bad. None is
            no limit.
        evaluation_split: "val", "test" or None: what training validates on and `evaluate` measures where both
            are there. None is "test", or "val" where no clip of it is there.

    Raises:
        ConfigError: if a value is out of range.
    """

    geometry: ClipGeometry
    on_error: Literal["raise", "skip", "drop_modality"] = "raise"
    max_bad_fraction: float = 0.01
    num_workers: int = 2
    deadline_seconds: float = 30.0
    max_worker_bytes: int | None = MAX_WORKER_BYTES
    evaluation_split: Literal["val", "test"] | None = None

    def __post_init__(self) -> None:
        check_least(self, 1, "num_workers", "max_worker_bytes")
        check_within(self, "[0, 1]", "max_bad_fraction")
        check("deadline_seconds", self.deadline_seconds > 0.0, "positive", self.deadline_seconds)

    def reading(
        self, num_classes: int, streams: tuple[str, ...] = STREAMS, faults_path: str | Path | None = None
    ) -> MediaReading:
        """What the pipelines are told of it."""
        return MediaReading(
            geometry=self.geometry,
            num_classes=num_classes,
            streams=streams,
            on_error=self.on_error,
            max_bad_fraction=self.max_bad_fraction,
            num_workers=self.num_workers,
            deadline_seconds=self.deadline_seconds,
            max_worker_bytes=self.max_worker_bytes,
            faults_path=faults_path,
        )
