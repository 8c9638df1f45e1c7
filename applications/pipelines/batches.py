"""Fixed-shape batches: whole ones for training, a padded last one for evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def training_batches(examples: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
    """Batches of exactly `batch_size` examples; a rest is left out.

    Args:
        examples: dataset of nested dicts of tensors.
        batch_size: int. B. Positive.

    Returns:
        Dataset of nested dicts, each tensor with a leading axis of B.
    """
    _check_batch_size(batch_size)
    return examples.batch(batch_size, drop_remainder=True)


def evaluation_batches(examples: tf.data.Dataset, batch_size: int, num_examples: int) -> tf.data.Dataset:
    """Batches of exactly `batch_size` examples, the last filled up with blanks.

    Args:
        examples: dataset of dicts of tensors with an entry `presence`, a dict of bool scalars by stream.
        batch_size: int. B. Positive.
        num_examples: int. How many `examples` are.

    Returns:
        Dataset of nested dicts, each tensor with a leading axis of B, and `weight` float32 `(B,)`: 1 for an
        example with at least one stream, 0 for a blank, which holds zeros and False throughout.
    """
    _check_batch_size(batch_size)

    def weigh_and_pad(batch: dict[str, Any]) -> dict[str, Any]:
        there = tf.reduce_any(tf.stack(list(batch["presence"].values())), 0)
        batch = {**batch, "weight": tf.cast(there, tf.float32)}
        return tf.nest.map_structure(lambda value: _fill(value, batch_size), batch)

    return counted(examples.batch(batch_size).map(weigh_and_pad), batch_size, num_examples)


def counted(batches: tf.data.Dataset, batch_size: int, num_examples: int) -> tf.data.Dataset:
    """Tells batches how many they are: enough for all examples, the last perhaps not whole.

    A generator does not know its length, and Keras warns of the end of data it did not expect. Reading other
    than that many raises `tf.errors.FailedPreconditionError`.
    """
    return batches.apply(tf.data.experimental.assert_cardinality(-(-num_examples // batch_size)))


def mapped(examples: tf.data.Dataset, change: Callable[[dict[str, Any]], dict[str, Any]]) -> tf.data.Dataset:
    """Changes each example, in parallel and in order. What `change` does in Python is done while tracing."""
    # There is no Python control flow in it to be rewritten, which takes half a minute.
    change = tf.autograph.experimental.do_not_convert(change)
    return examples.map(change, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def with_step(finish: Callable[[dict[str, Any]], Any], batch_size: int) -> Callable[[dict[str, Any]], tuple]:
    """A last step that says in front of what it gives which step of training the batch is for, int64."""

    def told(batch: dict[str, Any]) -> tuple:
        return batch["position"][0] // batch_size, finish(batch)

    return told


def finished(batches: tf.data.Dataset, finish: Callable[[dict[str, Any]], tuple]) -> tf.data.Dataset:
    """Applies the last step to each batch, in parallel and in order, and reads ahead.

    Args:
        batches: dataset of nested dicts of tensors.
        finish: function of a batch to what `fit` is given; it may hold a preprocessor.
    """
    options = tf.data.Options()
    options.deterministic = True
    # The preprocessor is a Keras layer: nothing in it needs, or survives, a rewriting of its source.
    finish = tf.autograph.experimental.do_not_convert(finish)
    done = batches.map(finish, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return done.with_options(options).prefetch(tf.data.AUTOTUNE)


def _fill(value: tf.Tensor, batch_size: int) -> tf.Tensor:
    missing = batch_size - tf.shape(value)[0]
    blank = tf.zeros(tf.concat([[missing], tf.shape(value)[1:]], 0), value.dtype)
    return tf.ensure_shape(tf.concat([value, blank], 0), [batch_size, *value.shape[1:]])


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be positive. Received: batch_size={batch_size}")
