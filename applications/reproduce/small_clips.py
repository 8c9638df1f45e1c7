"""The generated clips as arrays: decoded once, since every model learns from the same."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from zorro_keras.applications.reproduce.plan import Plan


@dataclass(frozen=True)
class SmallClips:
    """Clips of one split.

    Attributes:
        audio: float32 `(N, W, frames, bins)`, log-mel of W windows of each clip.
        video: uint8 `(N, W, F, Y, X, 3)`, the pictures of the same windows.
        presence: dict of stream to bool `(N,)`.
        labels: int `(N,)`.
    """

    audio: np.ndarray
    video: np.ndarray
    presence: dict[str, np.ndarray]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, clips: np.ndarray, windows: np.ndarray | int, streams: tuple[str, ...]) -> dict:
        """Returns what a backbone reads of some windows: its streams, and whether each clip has them."""
        arrays = {"audio": self.audio, "video": self.video}
        x = {name: arrays[name][clips, windows] for name in streams}
        if "video" in x:
            x["video"] = x["video"].astype("float32") / 127.5 - 1.0
        return {**x, "presence": {name: self.presence[name][clips] for name in streams}}

    def centre(self, streams: tuple[str, ...]) -> dict:
        """Returns what a backbone reads of the middle window of every clip."""
        return self.read(np.arange(len(self)), (self.audio.shape[1] - 1) // 2, streams)

    def few(self, share: float, seed: int) -> np.ndarray:
        """Returns the indices of so many clips of each class alike, drawn by `seed`."""
        rng = np.random.default_rng((seed, 1))
        drawn = [rng.permutation(np.flatnonzero(self.labels == label)) for label in np.unique(self.labels)]
        return np.sort(np.concatenate([clips[: max(1, round(share * len(clips)))] for clips in drawn]))


def small_clips(out: Path, plan: Plan) -> tuple[SmallClips, SmallClips]:
    """Returns the training and the held-out clips; makes and decodes them where `out` does not hold them."""
    from zorro_keras.applications.pipelines.packed_clips import pack_generated_clips

    files = [out / "arrays" / f"{split}.npz" for split in ("train", "test")]
    if not all(file.exists() for file in files):
        shards = pack_generated_clips(out / "shards", count=plan.count, test_count=plan.test_count)
        for file, windows in zip(files, (plan.windows, 1), strict=True):
            _save(file, _decode(shards, file.stem, windows))
    train, test = (_load(file) for file in files)
    return train, test


def clip_config():
    """Returns the configuration whose clips, spectrograms and patches all models of the report share."""
    # Not that of pre-training, which answers for one window of a clip alone.
    from zorro_keras.applications.audio_visual_classification.config import TINY

    return TINY


def _decode(shards: Path, split: str, num_windows: int) -> dict[str, np.ndarray]:
    """Reads a split in order, without anything random."""
    from zorro_keras.applications.pipelines.clip_data import open_clip_data
    from zorro_keras.applications.training import clip_batches
    from zorro_keras.applications.training.audio_visual_preprocessor import build_preprocessor

    config = clip_config()
    config = replace(config, data=replace(config.data, test_clips=num_windows))
    preprocessor = build_preprocessor(config)

    def hear(x):  # pictures stay bytes: a quarter of the memory
        return {**x, "audio": preprocessor({"audio": x["audio"]})["audio"]}

    data = open_clip_data(shards)
    dataset, ids = clip_batches.evaluation_dataset(data, config, hear, split=split)
    batches = list(dataset.as_numpy_iterator())
    rows = {name: _joined([x[name] for x, _, _ in batches], len(ids)) for name in ("audio", "video")}
    rows = {name: array.reshape(-1, num_windows, *array.shape[1:]) for name, array in rows.items()}
    for name in ("audio", "video"):
        rows[f"has_{name}"] = _joined([x["presence"][name] for x, _, _ in batches], len(ids))[::num_windows]
    rows["labels"] = _joined([y for _, y, _ in batches], len(ids))[::num_windows].argmax(axis=1)
    return rows


def _joined(parts: list[np.ndarray], count: int) -> np.ndarray:
    return np.concatenate(parts)[:count]


def _save(file: Path, arrays: dict[str, np.ndarray]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial.npz")
    np.savez(partial, **arrays)
    os.replace(partial, file)


def _load(file: Path) -> SmallClips:
    with np.load(file) as arrays:
        presence = {name: arrays[f"has_{name}"] for name in ("audio", "video")}
        return SmallClips(arrays["audio"], arrays["video"], presence, arrays["labels"])
