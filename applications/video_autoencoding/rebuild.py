"""A media file of any length, rebuilt window by window: what came out, and how far it is from the file."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import keras
import numpy as np

from zorro_keras.applications.pipelines.media import Window, iterate_windows, probe
from zorro_keras.applications.pipelines.mp4_writer import Mp4Writer
from zorro_keras.applications.training.output_folder import output_folder
from zorro_keras.applications.training.probabilities import to_probabilities
from zorro_keras.applications.training.window_batch import window_batch
from zorro_keras.applications.video_autoencoding.autoencoder import VideoAutoencoder
from zorro_keras.metrics import decibels

_STRIP_FRAMES = 8


@dataclass
class Rebuilt:
    """What is kept of a file while its windows pass: little, whatever the file's length.

    Attributes:
        num_windows: int. Windows so far.
        sums: dict of "audio" and "video" to the sum of squared errors, and how many numbers it is over.
        logits: list of float arrays `(K,)`, one a window.
        strip: list of pairs of uint8 arrays `(Y, X, 3)`: frames of the file, and rebuilt.
    """

    num_windows: int = 0
    sums: dict[str, tuple[float, int]] = field(default_factory=dict)
    logits: list[np.ndarray] = field(default_factory=list)
    strip: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    def add_error(self, name: str, true: np.ndarray, rebuilt: np.ndarray) -> None:
        """Counts the squared differences of one stream of one window."""
        error, count = self.sums.get(name, (0.0, 0))
        difference = np.asarray(rebuilt, np.float64) - true
        self.sums[name] = (error + float(np.square(difference).sum()), count + difference.size)

    def psnr(self) -> dict[str, float]:
        """Peak signal-to-noise ratio of each stream over the whole file, in dB."""
        return {name: float(decibels(error / count)) for name, (error, count) in self.sums.items() if count}

    def probabilities(self) -> np.ndarray:
        """Of the classes `(K,)`, from the mean of the windows' logits."""
        return to_probabilities(np.mean(self.logits, axis=0), multi_label=False)


def rebuild(task: VideoAutoencoder, path: str | os.PathLike[str], out: str | os.PathLike[str]) -> Rebuilt:
    """Rebuilds a file into an MP4, in constant memory.

    The file is cut into windows of the model's length, one after the other; each is compressed and rebuilt
    for itself, its label hidden. A stream that the file lacks is hidden from the model as well: what it makes
    up for it is written, and not measured.

    Args:
        task: `VideoAutoencoder` with its preprocessor.
        path: video or sound file.
        out: the MP4 to write. Its folder is made once the file turns out to be readable.

    Raises:
        MediaError: if the file cannot be read, or has neither sound nor pictures.
        ConfigError: if the folder cannot be made.
    """
    clip, rebuilt = task.preprocessor.geometry, Rebuilt()
    duration = probe(path).duration_seconds
    even = clip.height_px + clip.height_px % 2, clip.width_px + clip.width_px % 2
    shown = _shown_frames(duration, clip.seconds, clip.num_frames)
    windows = iterate_windows(path, clip, hop_seconds=clip.seconds)
    first = next(windows)
    output_folder(Path(out).parent)
    with Mp4Writer(out, even, clip.num_frames / clip.seconds, clip.sample_rate_hz) as writer:
        for window in chain([first], windows):
            made = _rebuilt_window(task, window)
            within = clip.sizes_within(duration - window.start_seconds)
            num_frames, num_samples = within["video"], within["audio"]
            frames = np.round(255 * made["image"][:num_frames]).astype(np.uint8)
            audio = made["audio"][:num_samples]
            if window.video is not None:
                rebuilt.add_error("video", window.video[:num_frames] / 255, made["image"][:num_frames])
            if window.audio is not None:
                rebuilt.add_error("audio", window.audio[:num_samples], audio)
            for index in shown.get(rebuilt.num_windows, ()):
                true = np.zeros_like(frames[0]) if window.video is None else window.video[index]
                rebuilt.strip.append((true, frames[min(index, num_frames - 1)]))
            rebuilt.logits.append(made["label_logits"])
            rebuilt.num_windows += 1
            writer.write_frames(np.pad(frames, _to_even(frames), mode="edge"))
            writer.write_audio(audio[None])
    return rebuilt


def _rebuilt_window(task: VideoAutoencoder, window: Window) -> dict[str, np.ndarray]:
    x = task.preprocessor(window_batch(window, task.preprocessor.geometry))
    x = keras.tree.map_structure(keras.ops.convert_to_numpy, dict(x))
    answers = task.as_clip(keras.Model.predict_on_batch(task, x))
    return {name: np.asarray(keras.ops.convert_to_numpy(values))[0] for name, values in answers.items()}


def _shown_frames(duration: float, seconds: float, num_frames: int) -> dict[int, list[int]]:
    """Which frames of which windows are shown in the strip: evenly spread over the file."""
    total = max(round(duration / seconds * num_frames), 1)
    shown: dict[int, list[int]] = {}
    for place in sorted({int(place) for place in np.linspace(0, total - 1, _STRIP_FRAMES)}):
        shown.setdefault(place // num_frames, []).append(place % num_frames)
    return shown


def _to_even(frames: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Padding that makes height and width even, as H.264 wants them."""
    _, height, width, _ = frames.shape
    return ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
