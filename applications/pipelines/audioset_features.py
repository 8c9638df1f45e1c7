"""AudioSet's published features: 128 numbers by VGGish for each second of sound, in TFRecord files.

They are no media and are not packed; they are read as they are, as a stream of tokens of a model.
"""

from __future__ import annotations

import os
from pathlib import Path

import tensorflow as tf

from zorro_keras.applications.pipelines.faults import SourceError

NUM_CLASSES = 527
NUM_FEATURES = 128
# VGGish cuts its features at these before it stores each in a byte.
_LOWEST, _HIGHEST = -2.0, 2.0


def audioset_features(
    path: str | os.PathLike, *, num_frames: int = 10, num_classes: int = NUM_CLASSES
) -> tf.data.Dataset:
    """Reads AudioSet's features, such as of `audioset_v1_embeddings/bal_train`.

    Args:
        path: str or path. A `.tfrecord` file, or a folder of them.
        num_frames: int. F, seconds given for each clip: longer ones are cut, shorter ones end in zeros.
        num_classes: int. K.

    Returns:
        Dataset, in the order of the files' names, of dicts: `id` string, YouTube's; `start_seconds`,
        `end_seconds` float32; `features` float32 `(F, 128)` in [-2, 2]; `padding_mask` bool `(F,)`, True
        where there are features; `labels` float32 `(K,)`, 1 for each label, by AudioSet's own numbers.

    Raises:
        SourceError: if there is no such file. Damaged files raise `tf.errors.DataLossError` while they are
            read, labels of another K `tf.errors.InvalidArgumentError`.

    Example:
        README.md of audio_visual_classification trains a model on them, under "Shards of other libraries".
    """
    path = Path(path)
    files = sorted(path.rglob("*.tfrecord")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise SourceError(
            "There is no .tfrecord file.", path=path, stage="read_source", reason="missing_file"
        )
    records = tf.data.TFRecordDataset([str(file) for file in files])
    return records.map(
        lambda record: _clip(record, num_frames, num_classes),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def _clip(record: tf.Tensor, num_frames: int, num_classes: int) -> dict[str, tf.Tensor]:
    context, lists = tf.io.parse_single_sequence_example(
        record,
        context_features={
            "video_id": tf.io.FixedLenFeature([], tf.string),
            "start_time_seconds": tf.io.FixedLenFeature([], tf.float32),
            "end_time_seconds": tf.io.FixedLenFeature([], tf.float32),
            "labels": tf.io.VarLenFeature(tf.int64),
        },
        sequence_features={"audio_embedding": tf.io.FixedLenSequenceFeature([], tf.string)},
    )
    stored = tf.io.decode_raw(lists["audio_embedding"][:num_frames], tf.uint8, fixed_length=NUM_FEATURES)
    num_missing = num_frames - tf.shape(stored)[0]
    labels = context["labels"].values
    in_range = tf.debugging.assert_less(labels, tf.cast(num_classes, tf.int64))
    with tf.control_dependencies([in_range, tf.debugging.assert_non_negative(labels)]):
        is_label = tf.reduce_any(tf.one_hot(labels, num_classes, True, False, dtype=tf.bool), axis=0)
    return {
        "id": context["video_id"],
        "start_seconds": context["start_time_seconds"],
        "end_seconds": context["end_time_seconds"],
        "features": tf.ensure_shape(
            tf.pad(_dequantised(stored), [[0, num_missing], [0, 0]]), [num_frames, NUM_FEATURES]
        ),
        "padding_mask": tf.range(num_frames) < num_frames - num_missing,
        "labels": tf.cast(is_label, tf.float32),
    }


def _dequantised(stored: tf.Tensor) -> tf.Tensor:
    """The middle of the interval that each byte stands for: VGGish rounds down."""
    step = (_HIGHEST - _LOWEST) / 255
    return tf.minimum((tf.cast(stored, tf.float32) + 0.5) * step + _LOWEST, _HIGHEST)
