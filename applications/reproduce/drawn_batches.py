"""The batches of a training: each a function of the seed and its number, from arrays in memory."""

from __future__ import annotations

import keras
import numpy as np

from zorro_keras.applications.reproduce.small_clips import SmallClips

_LONGEST_TIME_MASK, _WIDEST_BAND_MASK = 16, 4  # as in `tiny` of the tasks


class DrawnBatches(keras.utils.PyDataset):
    """Goes through the clips in a new order each time, and changes each a little.

    Args:
        clips: `SmallClips`.
        chosen: int array. The clips to learn from.
        streams: names of the streams that are given.
        batch_size, num_steps: ints. All steps are one epoch of Keras.
        seed: int.
        labelled: bool, whether labels are given.
    """

    def __init__(
        self,
        clips: SmallClips,
        chosen: np.ndarray,
        streams: tuple[str, ...],
        batch_size: int,
        num_steps: int,
        seed: int,
        *,
        labelled: bool = True,
    ) -> None:
        super().__init__()
        self.clips, self.chosen, self.streams = clips, chosen, streams
        self.batch_size, self.num_steps, self.seed, self.labelled = batch_size, num_steps, seed, labelled

    def __len__(self) -> int:
        return self.num_steps

    def __getitem__(self, step: int):
        clips = self._clips_of(step)
        rng = np.random.default_rng((self.seed, 2, step))
        x = self.clips.read(clips, rng.integers(self.clips.audio.shape[1], size=len(clips)), self.streams)
        if "audio" in x:
            x["audio"] = _hidden_in_part(x["audio"], rng)
        if "video" in x:
            x["video"] = _relit(x["video"], rng)
        return (x, self.clips.labels[clips]) if self.labelled else (x,)

    def _clips_of(self, step: int) -> np.ndarray:
        """Batches run on over the end of a pass, so that none is smaller."""
        places = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        passes, within = np.divmod(places, len(self.chosen))
        orders = {
            number: np.random.default_rng((self.seed, 3, number)).permutation(self.chosen)
            for number in np.unique(passes)
        }
        return np.array([orders[number][place] for number, place in zip(passes, within, strict=True)])


def _hidden_in_part(log_mel: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Hides a run of frames and a band of each spectrogram."""
    log_mel, filling = log_mel.copy(), log_mel.mean(dtype="float32")
    for spectrogram in log_mel:
        for axis, largest in ((0, _LONGEST_TIME_MASK), (1, _WIDEST_BAND_MASK)):
            width = rng.integers(largest + 1)
            start = rng.integers(spectrogram.shape[axis] - width + 1)
            np.moveaxis(spectrogram, axis, 0)[start : start + width] = filling
    return log_mel


def _relit(video: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Changes contrast and brightness of each clip."""
    shape = (len(video), 1, 1, 1, 1)
    contrast, brightness = rng.uniform(0.8, 1.2, shape), rng.uniform(-0.1, 0.1, shape)
    return np.clip(contrast * video + brightness, -1.0, 1.0).astype("float32")
