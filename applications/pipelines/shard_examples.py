"""Examples read from shards in any order, with TensorFlow ops alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from zorro_keras.applications.pipelines.clip_frames import FrameFit
from zorro_keras.applications.pipelines.clip_labels import label_vector
from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.pipelines.media_reading import MediaReading
from zorro_keras.applications.pipelines.records import read_record
from zorro_keras.applications.pipelines.shards import parse_record
from zorro_keras.applications.pipelines.windows import cut_audio, frame_indices, window_start_seconds


def shard_examples(
    locations: Sequence[Any],
    order: tf.data.Dataset,
    reading: MediaReading,
    frame_fit: FrameFit,
) -> tf.data.Dataset:
    """Reads, cuts and decodes the examples of `order`.

    Args:
        locations: sequence of `RecordLocation`. Where each example lies, and its labels.
        order: dataset of dicts `position`, `index`, `fraction`, from `order.py`.
        reading: `MediaReading`. The window, the streams and the number of classes.
        frame_fit: `FrameFit`. Crop, scale, flip and colour.

    Returns:
        Dataset of raw examples: `id` string, `position` int64, one entry per stream (`audio` float32
        `(num_samples,)`, `video` uint8 `(num_frames, height_px, width_px, 3)`), `presence` dict of bool,
        `labels` float32 `(K,)`. Absent streams hold zeros. Order is kept whatever the parallelism.

    Raises:
        ValueError: if there are no locations.
    """
    if not locations:
        raise ValueError("`locations` must hold at least one record. Received: 0 records")
    geometry = reading.geometry
    paths = tf.constant([str(place.shard_path) for place in locations])
    offsets = tf.constant([place.offset_bytes for place in locations], tf.int64)
    ids = tf.constant([place.id for place in locations])
    labels = tf.ragged.constant([list(place.label_indices) for place in locations], tf.int64, ragged_rank=1)

    def read(place: dict[str, tf.Tensor]) -> dict[str, Any]:
        index = place["index"]
        record = parse_record(read_record(paths[index], offsets[index]))
        start = window_start_seconds(place["fraction"], record["duration_seconds"], geometry)
        example, presence = {}, {}
        with tf.control_dependencies([_check_id(record["id"], ids[index], paths[index])]):
            if "audio" in reading.streams:
                example["audio"] = finite_audio(cut_audio(record["audio"], start, geometry), record["id"])
                presence["audio"] = record["has_audio"]
            if "video" in reading.streams:
                example["video"] = _video(record, start, geometry, place["position"], frame_fit)
                presence["video"] = record["has_video"]
            return {
                "id": tf.identity(record["id"]),
                "position": place["position"],
                **example,
                "presence": presence,
                "labels": label_vector(labels[index], reading.num_classes),
            }

    return order.map(read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def finite_audio(audio: tf.Tensor, clip_id: tf.Tensor) -> tf.Tensor:
    """Lets finite sound pass.

    Args:
        audio: float32 `(S,)`.
        clip_id: string scalar, for the message.

    Raises:
        tf.errors.InvalidArgumentError: if a sample is NaN or infinite.
    """
    finite = tf.reduce_all(tf.math.is_finite(audio))
    check = tf.debugging.Assert(finite, ["[non_finite] The sound holds NaN or infinity. Clip:", clip_id])
    with tf.control_dependencies([check] if check is not None else []):
        return tf.identity(audio)


def _check_id(found: tf.Tensor, expected: tf.Tensor, path: tf.Tensor) -> tf.Operation:
    """An index that points at another record would give every clip a wrong label."""
    message = "[bad_record] A record is not the one its index names. Shard, expected, found:"
    return tf.debugging.Assert(found == expected, [message, path, expected, found]) or tf.no_op()


def _video(
    record: dict[str, tf.Tensor], start: tf.Tensor, geometry: ClipGeometry, position: tf.Tensor, fit: FrameFit
) -> tf.Tensor:
    shape = [geometry.num_frames, geometry.height_px, geometry.width_px, 3]
    num_frames = tf.shape(record["frames"])[0]

    def decode() -> tf.Tensor:
        wanted = frame_indices(num_frames, record["frame_rate_hz"], start, geometry)
        return fit.from_jpegs(tf.gather(record["frames"], wanted), position)

    present = record["has_video"] & (num_frames > 0)
    return tf.ensure_shape(tf.cond(present, decode, lambda: tf.zeros(shape, tf.uint8)), shape)
