"""Reads any record of any shard by its byte offset, with TensorFlow ops alone."""

from __future__ import annotations

import tensorflow as tf


def read_record(shard_path: tf.Tensor, offset_bytes: tf.Tensor) -> tf.Tensor:
    """Reads one TFRecord by seeking to it. Both checksums of the record are verified.

    Args:
        shard_path: string scalar.
        offset_bytes: int64 scalar. Where the record's length field starts, from the shard's index.

    Returns:
        string scalar, the payload.

    Raises:
        tf.errors.DataLossError: if the record is damaged or cut, or no record starts there.
        tf.errors.NotFoundError: if there is no such file.
        tf.errors.InvalidArgumentError: if the offset is the end of the file.
    """
    # `tf.data.TFRecordDataset` reads a file from its start; only the op below it can be told where to begin.
    # No read-ahead buffer: the next record to read is almost never the next one in the file.
    variant = tf.raw_ops.TFRecordDatasetV2(
        filenames=tf.reshape(shard_path, [1]),
        compression_type="",
        buffer_size=tf.constant(0, tf.int64),
        byte_offsets=tf.reshape(tf.cast(offset_bytes, tf.int64), [1]),
    )
    records = tf.data.experimental.from_variant(variant, tf.TensorSpec([], tf.string))
    return records.take(1).get_single_element()
