"""What is read from each clip, and what happens to clips that cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.pipelines.workers import MAX_WORKER_BYTES


@dataclass(frozen=True)
class MediaReading:
    """What is read from each clip, and what happens to clips that cannot be read.

    Args:
        geometry: `ClipGeometry` of the window.
        num_classes: int. K.
        streams: tuple of "audio", "video" or both.
        on_error: "raise", "skip" or "drop_modality". For media files; shards were checked when packed.
        max_bad_fraction: float in [0, 1]. Share of bad clips in one pass that stops the run.
        num_workers: int. Processes that decode media files.
        deadline_seconds: float. Time a process may take for one clip.
        max_worker_bytes: optional int. Memory a process may use, where the system can limit it.
        faults_path: optional path. Faults of media files are appended here as JSON lines.
    """

    geometry: ClipGeometry
    num_classes: int
    streams: tuple[str, ...] = ("audio", "video")
    on_error: str = "raise"
    max_bad_fraction: float = 0.01
    num_workers: int = 2
    deadline_seconds: float = 30.0
    max_worker_bytes: int | None = MAX_WORKER_BYTES
    faults_path: str | Path | None = None
