"""Answers windows of real media as the exported model would: raw sound and frames in, logits out."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from zorro_keras.applications.pipelines.faults import ConfigError, MediaError
from zorro_keras.applications.pipelines.media import MediaInfo, Window
from zorro_keras.applications.training.window_means import has_input


class WindowClassifier:
    """A classifier of windows from media files.

    Args:
        task: classifier with a preprocessor that knows the clip's geometry.
        streams: tuple of streams to look at; the others are not given to the model.
        batch_size: int. Windows are answered in batches of exactly this size, so that one program serves all.

    Raises:
        ConfigError: if the model does not take a stream, or nothing says what clip it expects.
    """

    def __init__(self, task: keras.Model, streams: Sequence[str], batch_size: int) -> None:
        known = tuple(task.backbone.streams)
        if not streams or not set(streams) <= set(known):
            raise ConfigError(
                f"`streams` must be chosen from the model's streams {list(known)}. Received: {list(streams)}",
                stage="predict",
                reason="bad_value",
            )
        if getattr(task.preprocessor, "geometry", None) is None:
            raise ConfigError(
                "The model's preprocessor must know the clip's geometry.",
                stage="predict",
                reason="bad_preset",
            )
        self.task = task
        self.streams = tuple(name for name in known if name in streams)
        self.geometry = task.preprocessor.geometry
        self.batch_size = batch_size
        # A graph, so that preprocessing is done by TensorFlow on every backend, as it was in training.
        self._preprocess = tf.function(task.preprocessor, autograph=False)

    def __call__(self, windows: Sequence[Window]) -> dict[str, np.ndarray]:
        """Returns by head the logits, float32 `(W, K)`: NaN for a window without what the head reads."""
        if len(windows) > self.batch_size:
            raise ValueError(f"At most {self.batch_size} windows fit. Received: {len(windows)}")
        presence = {name: self._presence(windows, name) for name in self.streams}
        raw = {name: self._stack(windows, name) for name in self.streams}
        x = self._preprocess({**raw, "presence": presence})
        inputs = {name: np.asarray(x[name]) for name in self.streams}
        answers = keras.Model.predict_on_batch(self.task, {**inputs, "presence": presence})
        return {
            head: np.where(has_input(head, presence)[:, None], answers[head], np.nan)[: len(windows)]
            for head in self.task.heads
            if head in answers
        }

    def _presence(self, windows: Sequence[Window], name: str) -> np.ndarray:
        flags = np.zeros(self.batch_size, bool)
        flags[: len(windows)] = [getattr(window, name) is not None for window in windows]
        return flags

    def _stack(self, windows: Sequence[Window], name: str) -> np.ndarray:
        clip = self.geometry
        shape, dtype = {
            "audio": ((clip.num_samples,), np.float32),
            "video": ((clip.num_frames, clip.height_px, clip.width_px, 3), np.uint8),
        }[name]
        stacked = np.zeros((self.batch_size, *shape), dtype)
        for row, window in enumerate(windows):
            if getattr(window, name) is not None:
                stacked[row] = getattr(window, name)
        return stacked


def streams_of_file(task: keras.Model, info: MediaInfo, streams: Sequence[str] | None) -> tuple[str, ...]:
    """Returns the streams to look at: those of the model, or those asked for, that the file has.

    Raises:
        MediaError: if the file has none of them.
    """
    wanted = tuple(task.backbone.streams) if streams is None else tuple(streams)
    has = {"audio": info.has_audio, "video": info.has_video}
    found = tuple(name for name in wanted if has.get(name, True))
    if not found:
        reason = f"no_{wanted[0]}" if len(wanted) == 1 else "no_streams"
        raise MediaError(
            f"The file has no {' and no '.join(wanted)}.", path=info.path, stage="predict", reason=reason
        )
    return found
