"""Clips from a folder of shards or from a source, checked before anything is read, and their examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow as tf

from zorro_keras.applications.pipelines.clip_frames import FrameFit
from zorro_keras.applications.pipelines.clip_labels import check_labels
from zorro_keras.applications.pipelines.faults import ConfigError, ShardError, SourceError
from zorro_keras.applications.pipelines.foreign_source import find_foreign_shards
from zorro_keras.applications.pipelines.host_errors import FaultSlot
from zorro_keras.applications.pipelines.media_examples import MediaReading, media_examples
from zorro_keras.applications.pipelines.mixed_order import in_mixed_order
from zorro_keras.applications.pipelines.shard_examples import shard_examples
from zorro_keras.applications.pipelines.shards import ShardSet, is_shards, open_shards
from zorro_keras.applications.pipelines.source_rows import SPLITS
from zorro_keras.applications.pipelines.sources import Source, read_source


@dataclass(frozen=True)
class ClipData:
    """Clips with checked labels.

    Attributes:
        origin: `ShardSet` or `Source`.
        clips: dict from split name to a tuple of `RecordLocation` or `ClipEntry`, in a fixed order.
        faults: `FaultSlot`, for `host_errors`.
        chosen_split: optional str. The split that is evaluated, where the caller has chosen one.
    """

    origin: ShardSet | Source
    clips: dict[str, tuple[Any, ...]]
    faults: FaultSlot = field(default_factory=FaultSlot, compare=False)
    chosen_split: str | None = None

    @property
    def label_names(self) -> tuple[str, ...]:
        """The classes; index k is class k."""
        return tuple(self.origin.label_names)

    @property
    def multi_label(self) -> bool:
        """Whether clips carry any number of labels, or exactly one."""
        return self.origin.multi_label

    @property
    def fingerprint(self) -> str:
        """Changes when the data do: a run is resumed only on the data it began with."""
        return self.origin.fingerprint

    @property
    def ignored(self) -> tuple[str, ...]:
        """Files beside the clips that count for nothing; of shards none, as `prepare` has reported them."""
        return () if isinstance(self.origin, ShardSet) else self.origin.ignored

    @property
    def num_train(self) -> int:
        """Clips in the training split."""
        return len(self.clips["train"])

    @property
    def num_test(self) -> int:
        """Clips in the test split."""
        return len(self.clips["test"])

    @property
    def evaluation_split(self) -> str:
        """The one chosen; else "test", or "val" where there is no labelled test split."""
        return self.chosen_split or ("test" if self.clips["test"] else "val")

    def split(self, name: str, most: int | None = None) -> tuple[Any, ...]:
        """The clips of a split.

        Args:
            name: str. "train", "val" or "test".
            most: optional int >= 1. So many at most, drawn evenly from all of the split by their ids, since
                the first ones of class folders are of one class.

        Raises:
            SourceError: if there are none.
        """
        if not self.clips.get(name):
            filled = [split for split, clips in self.clips.items() if clips]
            raise SourceError(
                f"`split` must be one that holds clips: {filled}. Received: split={name!r}",
                path=self.origin.path if isinstance(self.origin, ShardSet) else self.origin.root,
                stage="open", reason="empty_source",
                advice="Put clips to learn from under `train/` and others to measure on under `test/`, or "
                "give folders of classes with two files or more each, of which some are held out. Shards "
                "are prepared anew.",
            )  # fmt: skip
        clips = self.clips[name]
        return clips if most is None else tuple(in_mixed_order(clips)[:most])


class UnlabelledClips(ClipData):
    """Clips whose labels a model leaves alone: it has no classes."""

    @property
    def label_names(self) -> tuple[str, ...]:
        """None."""
        return ()


def open_clip_data(
    path: str | Path,
    *,
    label_names: Sequence[str] | None = None,
    test_fold: int | None = None,
    evaluation_split: str | None = None,
    needs_labels: bool = True,
) -> ClipData:
    """Opens a folder of shards or a source, as `read_source` takes one, and checks all of it.

    Args:
        path: str or path.
        label_names: optional sequence of str. The classes a model was trained on, in its order.
        test_fold: optional int. For a source in folds, that which becomes the split "test".
        evaluation_split: optional str. "val" or "test": which is evaluated where both are there.
        needs_labels: bool. False: clips without any labels will do.

    Raises:
        ShardError, SourceError: if the data cannot be trusted, or hold other classes; every bad row is named.
        ConfigError: if a fold is asked of shards, or the split chosen holds no clip.
    """
    if is_shards(path):
        _check_no_fold(path, test_fold)
        origin = open_shards(path)
        _check_names(origin, path, label_names)
        clips = {split: tuple(origin.split(split)) for split in SPLITS}
        faults = FaultSlot(partial(open_shards, path))
    elif find_foreign_shards(path):
        raise SourceError(
            "These are shards of another library, which are packed before they are trained on.",
            path=path,
            stage="open",
            reason="bad_schema",
            advice="Give them to `zorro-keras prepare` as --source.",
        )
    else:
        origin = read_source(path, label_names=label_names, test_fold=test_fold)
        clips = {split: origin.split(split).entries for split in SPLITS}
        faults = FaultSlot()
    labelled = ((clip.id, clip.label_indices) for split in clips.values() for clip in split)
    if origin.label_names:
        check_labels(labelled, len(origin.label_names), multi_label=origin.multi_label)
    elif needs_labels:
        raise SourceError(
            "These clips have no labels, and this task learns from labels.",
            path=path, stage="labels", reason="bad_label",
            advice="Use them to pre-train (`audio_visual_pretraining`), or give a CSV with a column `label`.",
        )  # fmt: skip
    _check_split(clips, path, evaluation_split)
    return ClipData(origin, clips, faults, evaluation_split)


def open_unlabelled_clips(path: str | Path, *, evaluation_split: str | None = None) -> UnlabelledClips:
    """Opens clips, with labels or without, for a model that leaves them alone.

    Args:
        path, evaluation_split: as for `open_clip_data`.

    Raises:
        ShardError, SourceError: if the data cannot be trusted; every bad row is named.
        ConfigError: if the split chosen holds no clip.
    """
    data = open_clip_data(path, evaluation_split=evaluation_split, needs_labels=False)
    return UnlabelledClips(data.origin, data.clips, data.faults, data.chosen_split)


def clip_examples(
    data: ClipData,
    clips: Sequence[Any],
    order_from: Callable[[int], tf.data.Dataset],
    reading: MediaReading,
    frame_fit: FrameFit,
    *,
    start_position: int = 0,
    windows_per_clip: int = 1,
) -> tf.data.Dataset:
    """Reads the examples of an order, from shards or straight from media files.

    Args:
        data: `ClipData`.
        clips: sequence of clips of `data`, as `data.split` gives them.
        order_from: function from a position to the order from there on, from `order.py`.
        reading: `MediaReading`. The window, the streams, and what happens to clips that cannot be decoded.
        frame_fit: `FrameFit`. Crop, scale, flip and colour.
        start_position: int. The first position to read.
        windows_per_clip: int. How often each clip stands in one pass.

    Returns:
        Dataset of raw examples: `id` string, `position` int64, one entry per stream (`audio` float32
        `(num_samples,)`, `video` uint8 `(num_frames, height_px, width_px, 3)`), `presence` dict of bool,
        `labels` float32 `(K,)`. Absent streams hold zeros.
    """
    if isinstance(data.origin, ShardSet):
        _check_rate(data.origin, reading)
        return shard_examples(clips, order_from(start_position), reading, frame_fit)
    roomy = replace(
        reading.geometry,
        height_px=round(reading.geometry.height_px * frame_fit.zoom[1]),
        width_px=round(reading.geometry.width_px * frame_fit.zoom[1]),
    )
    examples = media_examples(
        replace(data.origin, entries=tuple(clips)),
        order_from,
        replace(reading, geometry=roomy),
        data.faults,
        start_position=start_position,
        windows_per_clip=windows_per_clip,
    )
    if "video" not in reading.streams:
        return examples
    return examples.map(
        lambda example: {**example, "video": frame_fit(example["video"], example["position"])},
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def _check_split(clips: dict[str, tuple[Any, ...]], path: str | Path, chosen: str | None) -> None:
    if chosen is not None and not clips[chosen]:
        filled = [split for split in ("val", "test") if clips[split]]
        raise ConfigError(
            f"`data.evaluation_split` must be None or a split that holds clips: {filled}. "
            f"Received: data.evaluation_split={chosen!r}",
            path=path, stage="config", reason="bad_value",
        )  # fmt: skip


def _check_no_fold(path: str | Path, test_fold: int | None) -> None:
    if test_fold is not None:
        raise ConfigError(
            f"`data.test_fold` must be None for shards. Received: data.test_fold={test_fold}",
            path=path, stage="config", reason="bad_value",
            advice="Shards keep the fold that they were packed with: `zorro-keras prepare --test-fold`.",
        )  # fmt: skip


def _check_names(shards: ShardSet, path: str | Path, label_names: Sequence[str] | None) -> None:
    if label_names is not None and tuple(label_names) != tuple(shards.label_names):
        raise ShardError(
            f"The shards hold other classes than the model. Expected: {list(label_names)}. "
            f"Received: {list(shards.label_names)}",
            path=path,
            stage="labels",
            reason="bad_label",
        )


def _check_rate(shards: ShardSet, reading: MediaReading) -> None:
    packed, wanted = shards.settings["sample_rate_hz"], reading.geometry.sample_rate_hz
    if "audio" in reading.streams and packed != wanted:
        raise ConfigError(
            f"`data.geometry.sample_rate_hz` must be that of the shards, {packed}. "
            f"Received: data.geometry.sample_rate_hz={wanted}",
            path=shards.path, stage="config", reason="bad_value",
            advice=f"Train with `--set data.geometry.sample_rate_hz={packed}`, or pack the clips anew with "
            f"`zorro-keras prepare --sample-rate-hz {wanted}`.",
        )  # fmt: skip
