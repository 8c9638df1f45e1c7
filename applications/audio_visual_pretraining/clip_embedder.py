"""Windows of media in, embeddings out: what `predict`, `embed` and `search` share."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zorro_keras.applications.audio_visual_pretraining.pretrainer import AudioVisualPretrainer
from zorro_keras.applications.audio_visual_pretraining.scores import has_output
from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.pipelines.media import Window
from zorro_keras.applications.training.finite import check_finite
from zorro_keras.applications.training.window_batch import window_batch

STREAMS = ("audio", "video")


class ClipEmbedder:
    """Embeds raw sound and frames, in batches of one size, so that one program serves them all.

    Args:
        task: `AudioVisualPretrainer` with its preprocessor.
        batch_size: int >= 1. B.

    Attributes:
        geometry: `ClipGeometry` of the windows that the model reads.
        heads: tuple of str, the embeddings that the model has.
    """

    def __init__(self, task: AudioVisualPretrainer, batch_size: int = 32) -> None:
        self.task, self.batch_size = task, batch_size
        self.geometry = task.preprocessor.geometry
        self.heads = tuple(task.heads.sides)
        # A graph, so that preprocessing is done by TensorFlow on every backend, as it was in training.
        self._preprocess = tf.function(task.preprocessor, autograph=False)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Embeds a batch.

        Args:
            batch: dict of numpy arrays with at most B rows: `audio` `(W, samples)`, `video` uint8
                `(W, F, Y, X, 3)`, and `presence`, a dict of both to bool `(W,)`.

        Returns:
            Dict of head to float32 `(W, E)`, of length 1; NaN where a clip lacks what the head is of.

        Raises:
            TrainingError: if the model gives a number that is not finite.
            ValueError: for more rows than B.
        """
        num_rows = len(batch["presence"]["audio"])
        if num_rows > self.batch_size:
            raise ValueError(f"At most {self.batch_size} windows fit. Received: {num_rows}")
        raw = {name: batch[name] for name in (*STREAMS, "presence")}
        raw = keras.tree.map_structure(self._filled, raw)
        x = self._preprocess(raw)
        inputs = {name: np.asarray(x[name]) for name in STREAMS}
        answers = keras.Model.predict_on_batch(self.task, {**inputs, "presence": raw["presence"]})
        return {
            head: _known(np.asarray(answers[head][:num_rows], np.float32), head, batch["presence"])
            for head in self.heads
        }

    def of_windows(self, windows: Iterable[Window]) -> Iterator[tuple[Window, dict[str, np.ndarray]]]:
        """Yields each window with its embeddings, a dict of head to `(E,)`; holds B windows at most."""
        windows = iter(windows)
        while group := list(itertools.islice(windows, self.batch_size)):
            batches = [window_batch(window, self.geometry) for window in group]
            answers = self(keras.tree.map_structure(lambda *rows: np.concatenate(rows), *batches))
            for row, window in enumerate(group):
                yield window, {head: vectors[row] for head, vectors in answers.items()}

    def _filled(self, rows: np.ndarray) -> np.ndarray:
        missing = self.batch_size - len(rows)
        return np.pad(rows, [(0, missing)] + [(0, 0)] * (rows.ndim - 1))


def check_heads(heads: Sequence[str], *needed: str) -> None:
    """Raises where a model was not trained to compare what is asked of it.

    Raises:
        ConfigError: if an embedding is missing.
    """
    if missing := [name for name in needed if name not in heads]:
        raise ConfigError(
            f"The model must have the embeddings {list(needed)}. Received: {list(heads)}",
            stage="command", reason="bad_value",
            advice=f"Train with a weight above 0 for the pair that makes {missing[0]}.",
        )  # fmt: skip


def _known(vectors: np.ndarray, head: str, presence: Mapping[str, np.ndarray]) -> np.ndarray:
    has = has_output(head.split("_to_")[0], presence)
    check_finite(vectors[has], "embed", where=f", by the head {head}")
    return np.where(has[:, None], vectors, np.float32(np.nan))
