"""What is asked of a media file, what comes back, and what happens to a damaged stream."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zorro_keras.applications.pipelines.faults import MediaError, OnError, check_on_error
from zorro_keras.applications.pipelines.media_open import DEFAULT_LIMITS, Limits, OpenMedia, open_media

STREAMS = ("audio", "video")


@dataclass(frozen=True)
class Window:
    """One time-aligned window.

    Attributes:
        audio: float32 `(num_samples,)`, mono; None if the file has no sound, or none in this window.
        video: uint8 `(num_frames, height_px, width_px, 3)`, RGB, upright; None if the file has no pictures.
        start_seconds: float. Where the window starts.
        faults: the errors of streams that were left out because they are damaged.
    """

    audio: np.ndarray | None
    video: np.ndarray | None
    start_seconds: float
    faults: tuple[MediaError, ...] = ()

    @property
    def is_silent(self) -> bool:
        """Whether there is sound and every sample of it is zero."""
        return self.audio is not None and not self.audio.any()


@dataclass(frozen=True)
class Track:
    """A whole segment, its pictures at a constant rate.

    Attributes:
        audio: float32 `(S,)`, mono; None if there is no sound.
        frames: uint8 `(F, Y, X, 3)`, RGB, upright, even sizes; None if there are no pictures.
        sample_rate_hz: int. Samples per second.
        frame_rate_hz: float. Frames per second.
        start_seconds, end_seconds: float. What part of the file this is.
        faults: the errors of streams that were left out because they are damaged.
    """

    audio: np.ndarray | None
    frames: np.ndarray | None
    sample_rate_hz: int
    frame_rate_hz: float
    start_seconds: float
    end_seconds: float
    faults: tuple[MediaError, ...] = ()

    @property
    def is_silent(self) -> bool:
        """Whether there is sound and every sample of it is zero."""
        return self.audio is not None and not self.audio.any()


@dataclass(frozen=True)
class Request:
    """The streams asked of a file, and the policy for damage.

    Args:
        path: str or Path. The file.
        streams: names out of `"audio"` and `"video"`.
        on_error: `"raise"`, `"skip"` or `"drop_modality"`. The last leaves out a damaged stream as long as
            another is left; with the others the error is raised (to skip the file is up to the caller, who
            keeps the ledger).
        root: optional folder the file must lie in.
        limits: Limits.

    Raises:
        ValueError: if `streams` is empty or names something else, or `on_error` is unknown.
    """

    path: str | Path
    streams: tuple[str, ...] = STREAMS
    on_error: OnError = "raise"
    root: str | Path | None = None
    limits: Limits = DEFAULT_LIMITS

    def __post_init__(self) -> None:
        check_on_error(self.on_error)
        if not self.streams or not set(self.streams) <= set(STREAMS):
            raise ValueError(f"`streams` must hold names out of {STREAMS}. Received: streams={self.streams}")

    def open(self) -> AbstractContextManager[OpenMedia]:
        """Opens the file afresh."""
        return open_media(self.path, root=self.root, limits=self.limits)

    def present_in(self, media: OpenMedia) -> tuple[str, ...]:
        """The streams that are both asked for and in the file.

        Raises:
            MediaError: `no_audio`, `no_video` or `no_streams`, if there are none.
        """
        present = tuple(name for name in self.streams if getattr(media, name) is not None)
        if not present:
            reason = f"no_{self.streams[0]}" if len(self.streams) == 1 else "no_streams"
            raise media.fault(f"The file has no {' and no '.join(self.streams)}.", reason, "open")
        return present

    def collect(
        self, decoders: dict[str, Callable[[], np.ndarray | None]]
    ) -> tuple[dict[str, np.ndarray | None], tuple[MediaError, ...]]:
        """Runs one decoder per stream under the policy.

        Returns:
            (arrays, faults): an array or None for each stream, and the errors of those left out.

        Raises:
            MediaError: the first error, under `"raise"` and `"skip"`, or when every stream is damaged.
        """
        arrays, faults = {}, []
        for name, decode in decoders.items():
            try:
                arrays[name] = decode()
            except MediaError as error:
                if self.on_error != "drop_modality":
                    raise
                arrays[name] = None
                faults.append(error)
        if len(faults) == len(decoders):
            raise faults[0]
        return arrays, tuple(faults)
